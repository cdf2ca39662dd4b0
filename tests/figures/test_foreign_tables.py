"""Tables of others: nothing outside the folder is written, and no text of theirs is a formula."""

import pytest

from flatmin.core.errors import ResultsError
from flatmin.figures import render
from flatmin.figures.captions import write_footer
from flatmin.figures.style import blank, loss_called, loss_name, plain
from flatmin.results import Tables

TABLE = "network,data,seed,kind,regime,batch_norm,alpha,split,loss,accuracy\n"


def test_a_foreign_name_leads_nowhere(tmp_path):
    folder = tmp_path / "a/b/c"
    folder.mkdir(parents=True)
    (folder / "provenance.json").write_text("{}")
    (folder / "lines.csv").write_text(f"{TABLE}x/../../../escaped,digits,0,linear,both,batch,0,train,1,1\n")
    with pytest.raises(ResultsError, match=r"lines\.csv: column 'network' must be up to 80 letters.*'x/\.\./\.\./"):
        render(Tables.read(folder), folder / "figures")
    assert not list(tmp_path.rglob("*escaped*"))


@pytest.mark.parametrize("text", ["a $x", r"half $\frac{1}{$ of it", "$$", r"\$"])
def test_dollars_of_the_users_own_are_no_formula(text, tmp_path):
    figure = blank(3.0, 2.0)
    write_footer(figure, [text])
    with loss_called(plain(text)):
        figure.subplots().set(ylabel=loss_name())
    figure.savefig(tmp_path / "figure.png")
