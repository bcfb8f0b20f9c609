"""The bearer token of a webhook: kept sealed in its step, or named there and kept elsewhere."""

from uuid import UUID

from libs.chassis.sealing import CannotUnseal, Sealer
from libs.domain.steps.send_webhook import SendWebhookStep
from services.step_executor.deliveries.webhook.payload import CannotCall
from services.step_executor.deliveries.webhook.secret_names import Secrets


class Tokens:
    """Gives the token of a step, at the moment it is needed."""

    def __init__(self, sealer: Sealer, secrets: Secrets | None) -> None:
        self._sealer = sealer
        self._secrets = secrets

    async def token_of(self, step: SendWebhookStep, workspace_id: UUID) -> str | None:
        """Unseal a step's token, or look its secret up; None if it has neither.

        Raises:
            CannotCall: If it was sealed with another key, or nothing here looks secrets up.
            SecretNotFound: If there is no such secret.
        """
        if step.token is not None:
            try:
                return self._sealer.unseal(step.token)
            except CannotUnseal:
                raise CannotCall("token_sealed_with_another_key") from None
        if step.secret_arn is None:
            return None
        if self._secrets is None:
            raise CannotCall("no_secret_provider")
        return await self._secrets.secret(workspace_id, step.secret_arn)
