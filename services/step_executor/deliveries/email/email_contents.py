"""The mails a sender knows, prepared; read from the store when a new version is asked for."""

from uuid import UUID

from libs.chassis.postgres.pool import Pool
from services.step_executor.deliveries.email.skeleton import EmailSkeleton
from services.step_executor.deliveries.email.skeletons import EmailSkeletons
from services.step_executor.store import definitions
from services.step_executor.store.rendered_mail import CannotCompose


class EmailContents:
    """Prepared mails by id and version."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._skeletons = EmailSkeletons()

    async def skeleton(self, email_id: UUID, version: int) -> EmailSkeleton:
        """Give a mail prepared, in this version or a newer one.

        Raises:
            CannotCompose: If there is no such mail, or it can be written to nobody.
        """
        found = self._skeletons.find(email_id, version)
        if found is not None:
            return found
        content = (await definitions.emails(self._pool, [email_id])).get(email_id)
        if content is None:
            raise CannotCompose("email_not_found")
        return await self._skeletons.get(content)
