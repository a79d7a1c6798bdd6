"""Registers the search attributes with the server; safe to repeat."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from models.contracts.search_attributes import Attribute


async def register(client: Client) -> None:
    """Adds what the namespace does not have yet.

    Raises:
        RPCError: the server cannot be reached or refuses.
    """
    present = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = {
        attribute.value.name: IndexedValueType.ValueType(attribute.value.indexed_value_type.value)
        for attribute in Attribute
        if attribute.value.name not in present.custom_attributes
    }
    if not missing:
        return
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
