"""Put the contact on static lists, or take it off, and go on at once."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.step import LinearStep
from libs.domain.step_result import Continue, StepContext, StepResult

MAX_LISTS = 50


class _ChangeLists(LinearStep):
    """Asks the contact's owner for one change per list."""

    key: ClassVar[str]
    outcome: ClassVar[str]

    list_ids: Annotated[list[UUID], Field(max_length=MAX_LISTS)] = []

    def issues(self, inventory: Inventory) -> Iterator[Issue]:
        """A draft may not know its lists yet, or name one that does not exist."""
        if not self.list_ids:
            yield Issue.at("list_ids")
        elif not inventory.lists.issuperset(self.list_ids):
            yield Issue.at("list_ids", code="unknown")

    def on_enter(self, context: StepContext) -> StepResult:
        """Tell the owner; being on a list already, or not, is no mistake."""
        if not self.list_ids:
            return Continue(outcome="skipped", details={"reason": "no_list"})
        list_ids = tuple(dict.fromkeys(self.list_ids))
        effects = tuple(context.tell_owner(**{self.key: list_id}) for list_id in list_ids)
        details = {"list_ids": [str(list_id) for list_id in list_ids]}
        return Continue(outcome=self.outcome, details=details, effects=effects)


class AddToListStep(_ChangeLists):
    """Puts the contact on lists."""

    key: ClassVar[str] = "joined"
    outcome: ClassVar[str] = "added"

    type: Literal["add_to_list"]


class RemoveFromListStep(_ChangeLists):
    """Takes the contact off lists."""

    key: ClassVar[str] = "left"
    outcome: ClassVar[str] = "removed"

    type: Literal["remove_from_list"]
