"""The built-in directory, for users without a system of their own that owns the contacts."""

from fastapi import APIRouter

from services.api.native import contact_lists, contacts, custom_fields, events, forms

router = APIRouter(tags=["directory"])
for part in (contacts, contact_lists, custom_fields, forms, events):
    router.include_router(part.router)
