// many
