"""The decision table as data: what each cause makes every feature look like, and how much that weighs.

A weight is in nats: the log of how much likelier the cause makes this level of the feature than "it just so happens".
About: 6 is as good as a proof (e^6 = 400 times likelier), 4 strong, 2 fair, 1 slight; the same with a minus rules out.
A feature that nobody could see weighs nothing, whichever cause. `*` stands for every level that is not named.

The weights come from what the devices do (docs/concepts/mitigation.md), and are judged by recorded plays
(docs/mitigation-matrix.md). A cause is said only when its `needs` are met, too: of each line at least one sign was
seen. So a cause is never said from small signs that happen to add up.
"""

from collections.abc import Mapping

from maul.guard.mitigation.causes import Cause
from maul.guard.mitigation.row import Row
from maul.guard.mitigation.table_others import OTHERS
from maul.guard.mitigation.table_protections import PROTECTIONS

SCORE_MIN = 3.0  # below it nothing is said: twenty times likelier than chance
MARGIN_MIN = 1.5  # over the second cause (4.5 times likelier), where no question could still tell them apart …
MARGIN_SURE = 4.0  # … and so much while one could

TABLE: Mapping[Cause, Row] = {**PROTECTIONS, **OTHERS}
