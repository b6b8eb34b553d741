"""Running a Bulk request (RFC 7644 §3.7).

Each operation is a transaction of its own, as if it had come as a request of its own: one that fails takes nothing
else with it, and what is done stays done when the connection breaks off. The operations of a ring are one transaction.
So are creations of simple users that follow each other, as long as nothing is in the way of any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from scim2_models import ConflictException, InvalidValueException, ResourceType
from scim2_server import routing
from scim2_server.conditions import Conditions
from scim2_server.routing import Operation

from scim_bridge.answers import error_body
from scim_bridge.engine.plan import BulkOperation, BulkRequest, not_created, references, resolved, without
from scim_bridge.engine.service import WRITES, Service
from scim_bridge.engine.simple import is_simple_user
from scim_bridge.engine.writing import UNCONDITIONAL, Writer
from scim_bridge.errors import told
from scim_bridge.storage.directory import Directory
from scim_bridge.storage.retrying import settled

BULK_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
Outcome = dict[str, Any]
#: So many users are created as one set at most: nobody waits long for what it locks.
TOGETHER = 250

_DONE = {"POST": "201", "PUT": "200", "PATCH": "200", "DELETE": "204"}


class BulkRun:
    """One run of a Bulk request: what was created so far, and how each operation ended."""

    def __init__(self, service: Service, storage: Directory, writer: Writer, base_url: str) -> None:
        self.service = service
        self.storage = storage
        self.writer = writer
        self.base_url = base_url
        #: The ids of what was created, by bulkId.
        self.created: dict[str, str] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.errors = 0

    def answered(self, request: BulkRequest) -> dict[str, Any]:
        """Run everything, or until `failOnErrors`; return the response, in the order of the request."""
        for steps in _together(request):
            if len(steps) == 1 or not self._run_together(request, [index for (index,) in steps]):
                for step in steps:
                    self._run_step(request, step)
        listed = [self.outcomes[index] for index in sorted(self.outcomes)]
        return {"schemas": [BULK_RESPONSE], "Operations": listed}

    def _run_step(self, request: BulkRequest, step: Sequence[int]) -> None:
        if request.fail_on_errors is not None and self.errors >= request.fail_on_errors:
            return
        if request.is_ring(step):
            self._run_ring(request, step)
        else:
            self._run_one(step[0], request.operations[step[0]], is_first=_is_first(request, step[0]))

    def _run_together(self, request: BulkRequest, indexes: Sequence[int]) -> bool:
        """Create users as one set, which takes a tenth of the time; tell whether that could be.

        When anything is in the way of one of them nothing is written, and each is told its own on its own.
        """
        operations = [request.operations[index] for index in indexes]
        if request.fail_on_errors is not None and self.errors >= request.fail_on_errors:
            return True
        try:
            with self.storage.operation():
                rows = self.storage.users.create_many([{"active": True, **each.data} for each in operations])
        except Exception:  # noqa: BLE001 - whatever it is, it comes again where it is told
            return False
        users = self.service.resource_type_at("Users")
        for index, operation, row in zip(indexes, operations, rows, strict=True):
            self._note_success(index, operation, users, row)
        return True

    def _run_one(self, index: int, operation: BulkOperation, *, is_first: bool) -> None:
        try:
            if operation.problem is not None:
                raise InvalidValueException(detail=operation.problem)
            if operation.method == "POST" and not is_first:
                raise InvalidValueException(detail=f"bulkId: {operation.bulk_id} is used twice in this request.")
            resource_type, row = settled(lambda: self._applied_alone(operation))
        except Exception as error:  # noqa: BLE001 - the edge of one operation; `told` logs what is not the client's
            self._note_failure(index, operation, error)
        else:
            self._note_success(index, operation, resource_type, row)

    def _run_ring(self, request: BulkRequest, step: Sequence[int]) -> None:
        """Create every resource of a ring without the references to those still to come, then complete each."""
        operations = {index: request.operations[index] for index in step}
        before = dict(self.created)
        at = step[0]
        try:
            with self.storage.operation():
                rows: dict[int, tuple[ResourceType, Any]] = {}
                for at, operation in operations.items():
                    rows[at] = self._created_without(operation)
                for at, operation in operations.items():
                    rows[at] = self._completed(operation, *rows[at])
        except Exception as error:  # noqa: BLE001 - the edge of one ring; `told` logs what is not the client's
            self.created = before
            self._note_broken_ring(operations, at, error)
        else:
            for index, (resource_type, row) in rows.items():
                self._note_success(index, operations[index], resource_type, row)

    def _created_without(self, operation: BulkOperation) -> tuple[ResourceType, Any]:
        to_come = [name for name in references(operation) if name not in self.created]
        pruned = BulkOperation(operation.method, operation.path, data=without(operation.data, to_come))
        resource_type, row = self._applied(pruned)
        self.created[str(operation.bulk_id)] = str(row.scim_id)
        return resource_type, row

    def _completed(self, operation: BulkOperation, resource_type: ResourceType, row: Any) -> tuple[ResourceType, Any]:
        _, data = resolved(operation, self._id_of)
        return resource_type, self.writer.replace(resource_type, str(row.scim_id), data, UNCONDITIONAL)

    def _applied_alone(self, operation: BulkOperation) -> tuple[ResourceType, Any]:
        with self.storage.operation():
            return self._applied(operation)

    def _applied(self, operation: BulkOperation) -> tuple[ResourceType, Any]:
        """Do what one operation says; return the type and the row, None of one that was deleted."""
        path, data = resolved(operation, self._id_of)
        target = routing.match(operation.method, path)
        if target.me or target.operation not in WRITES:
            raise InvalidValueException(detail=f"path: {path} is neither a resource nor a type of resource.")
        resource_type = self.service.resource_type_at(cast(str, target.endpoint))
        conditions = Conditions(if_match=operation.version)
        scim_id = str(target.resource_id)
        match target.operation:
            case Operation.create:
                return resource_type, self.writer.create(resource_type, data)
            case Operation.replace:
                return resource_type, self.writer.replace(resource_type, scim_id, data, conditions)
            case Operation.patch:
                return resource_type, self.writer.patch(resource_type, scim_id, data, conditions)
            case _:
                self.writer.delete(resource_type, scim_id, conditions)
                return resource_type, None

    def _id_of(self, name: str) -> str:
        if name not in self.created:
            raise not_created(name)
        return self.created[name]

    def _note_success(self, index: int, operation: BulkOperation, resource_type: ResourceType, row: Any) -> None:
        outcome = self._outcome(operation)
        if row is not None:
            adapter = self.storage.shelf(resource_type).adapter(row)
            outcome |= {"location": adapter.location, "version": adapter.version}
            if operation.bulk_id is not None and operation.method == "POST":
                self.created[operation.bulk_id] = str(row.scim_id)
        self.outcomes[index] = {**outcome, "status": _DONE[operation.method]}

    def _note_failure(self, index: int, operation: BulkOperation, error: Exception) -> None:
        body = error_body(told(error))
        self.errors += 1
        self.outcomes[index] = {**self._outcome(operation), "status": body["status"], "response": body}

    def _note_broken_ring(self, operations: dict[int, BulkOperation], at: int, error: Exception) -> None:
        for index, operation in operations.items():
            name = operations[at].bulk_id
            also = ConflictException(detail=f"It refers in a circle to the bulkId {name}, which could not be created.")
            self._note_failure(index, operation, error if index == at else also)

    def _outcome(self, operation: BulkOperation) -> Outcome:
        """Return what every outcome says. A failed POST has no location (RFC 7644 §3.7.3)."""
        outcome: Outcome = {"method": operation.method}
        if operation.bulk_id is not None:
            outcome["bulkId"] = operation.bulk_id
        if operation.method != "POST":
            path = "/".join(self._known(segment) for segment in operation.path.strip("/").split("/"))
            outcome["location"] = f"{self.base_url}/{path}"
        return outcome

    def _known(self, segment: str) -> str:
        """Return a segment of a path, with the id in place of a reference that was resolved."""
        return self.created.get(segment.removeprefix("bulkId:"), segment) if segment.startswith("bulkId:") else segment


def _together(request: BulkRequest) -> Iterator[list[tuple[int, ...]]]:
    """Yield the steps, those that follow each other and create simple users as one list."""
    gathered: list[tuple[int, ...]] = []
    for step in request.steps():
        creates = len(step) == 1 and _creates_a_simple_user(request, step[0])
        if gathered and (not creates or len(gathered) == TOGETHER):
            yield gathered
            gathered = []
        if creates:
            gathered.append(step)
        else:
            yield [step]
    if gathered:
        yield gathered


def _creates_a_simple_user(request: BulkRequest, index: int) -> bool:
    operation = request.operations[index]
    if operation.method != "POST" or operation.problem is not None or operation.path.strip("/") != "Users":
        return False
    return is_simple_user(operation.data) and _is_first(request, index) and not references(operation)


def _is_first(request: BulkRequest, index: int) -> bool:
    """Tell whether no earlier creation has the same bulkId."""
    return request.creations.get(request.operations[index].bulk_id or "", index) == index
