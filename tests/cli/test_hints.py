"""An option or a setting that is not there: what the same command has is thought of first."""

import pytest
from records import runner


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("run --stepz 3", "No such option '--stepz': did you mean --steps? (see glue run --help)"),
        ("run --seeed 3", "No such option '--seeed': did you mean --seed?"),
        ("run --batchsize 3", "No such option '--batchsize': write --batch-size"),
        ("run --eval 3", "No such option '--eval': did you mean --eval-every?"),  # as like as the setting eval_limit
        ("run --max-input 3", "No such option '--max-input': write --set max_input=VALUE"),
        ("run --max-inpt 3", "No such option '--max-inpt': did you mean --set max_input=VALUE?"),
        ("run --lora-rank 3", "No such option '--lora-rank': write --set lora_rank=VALUE"),
        ("run --learning-rate 3", "No such option '--learning-rate': write --lr"),
        ("run --transfer", "No such option '--transfer': it is one of glue compare (see glue run --help)"),
        ("show --task rte", "No such option '--task': did you mean --tasks?"),
        ("submit --demo", "No such option '--demo': it is one of glue run, glue sweep, glue reproduce (see"),
        ("run --zzz", "No such option '--zzz' (see glue run --help)"),
        ("board -z", "No such option '-z' (see glue board --help)"),
        ("reproduce table11 --max-input 3", "No such option '--max-input': write --set max_input=VALUE"),
        ("mix --max-input 3", "No such option '--max-input' (see glue mix --help)"),  # which takes no settings
        ("run --task rte --set seeds=3", "--set 'seeds=3': seeds is no setting: write --seeds"),
        ("run --task rte --set strategy=single", "--set 'strategy=single': strategy is no setting: write --strategy"),
        ("run --task rte --set stratgy=single", "stratgy is no setting: did you mean --strategy?"),
        ("run --task rte --set clipp=1", "--set: unknown setting 'clipp': did you mean clip?"),
    ],
)
def test_the_nearest_is_named(arguments, line, capsys):
    code, out, err = runner(capsys)(*arguments.split())
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert line in err
