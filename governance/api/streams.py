"""The ledger for systems that watch over security: destinations it is sent to, and the stream to fetch from."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, choice, page_of
from governance.api.shapes import NothingIn
from governance.api.words import MOST_ROWS
from governance.core.errors import Gone, Invalid
from governance.identity.models import RoleName
from governance.ledger.disposals import minimum_index
from governance.ledger.queries import latest_checkpoint
from governance.ledger.reading_log import note_fetched
from governance.streams import actions, queries
from governance.streams.batches import batch_from
from governance.streams.models import Destination, DestinationKind, Shape

_ADMIN = frozenset({RoleName.SECURITY_ADMIN.value})
_READERS = _ADMIN | {RoleName.AUDITOR.value}
_YES_OR_NO = ["yes", "no"]


class StreamShape(serializers.ModelSerializer[Destination]):
    """A destination and how far it is. Its secret is never shown."""

    class Meta:
        model = Destination
        fields = [
            "ref",
            "kind",
            "name",
            "address",
            "shape",
            "with_names",
            "with_rows",
            "authorities",
            "client_certificate",
            "created_at",
            "paused_at",
            "next_index",
            "last_sent_at",
            "trouble_since",
            "stopped_at",
            "last_error",
            "test_asked_at",
            "tested_at",
            "test_error",
        ]


class StreamChangeIn(StrictSerializer):
    """What changes of a destination. An empty `client_key` keeps the one that is there."""

    name = serializers.CharField(max_length=80, required=False)
    address = serializers.CharField(max_length=500, required=False)
    shape = serializers.ChoiceField(Shape.choices, required=False)
    with_names = serializers.BooleanField(required=False)
    with_rows = serializers.BooleanField(required=False)
    authorities = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    client_certificate = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    client_key = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    is_paused = serializers.BooleanField(required=False)


class StreamIn(StreamChangeIn):
    """A new destination; `from_the_start` begins with the first entry of the ledger."""

    kind = serializers.ChoiceField(DestinationKind.choices)
    name = serializers.CharField(max_length=80)
    address = serializers.CharField(max_length=500)
    from_the_start = serializers.BooleanField(default=False)


class StreamPageShape(serializers.Serializer[object]):
    """A page of the ledger in its order. Go on with `after=` the `last` of this page."""

    entries = serializers.ListField(child=serializers.DictField())
    last = serializers.IntegerField(help_text="The last number that was looked at: the next `after`")
    size = serializers.IntegerField(help_text="Entries in the signed ledger")
    has_more = serializers.BooleanField()


class Streams(ListView):
    """Destinations."""

    needs = _ADMIN
    reads = _READERS
    shape = StreamShape

    @extend_schema(
        operation_id="streams_list",
        summary="Systems that get the ledger as it happens, without those that were ended",
        parameters=list(PAGE_WORDS),
        responses=page_of(StreamShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of destinations."""
        return self.page(Destination.objects.filter(ended_at__isnull=True))

    @extend_schema(
        summary="Add a destination; the answer holds the secret of a webhook, once",
        request=StreamIn,
        responses={201: OpenApiTypes.OBJECT},
    )
    def post(self, request: Request) -> Response:
        """Add a destination and return it with its secret."""
        said = StreamIn(data=request.data)
        said.is_valid(raise_exception=True)
        given = dict(said.validated_data)
        kind, from_the_start = given.pop("kind"), given.pop("from_the_start")
        made, secret = actions.add(kind, actions.Wanted(**given), from_the_start=from_the_start, actor=self.actor)
        return Response({**StreamShape(made).data, **({"secret": secret} if secret else {})}, status=201)


class OneStream(DoorView):
    """One destination."""

    needs = _ADMIN
    reads = _READERS

    @extend_schema(summary="One destination and how far it is", responses=StreamShape)
    def get(self, request: Request, ref: UUID) -> Response:
        """Return a destination."""
        return Response(StreamShape(queries.by_ref(ref)).data)

    @extend_schema(summary="Change or pause a destination", request=StreamChangeIn, responses=StreamShape)
    def patch(self, request: Request, ref: UUID) -> Response:
        """Keep what changes."""
        stream = queries.by_ref(ref)
        said = StreamChangeIn(data=request.data)
        said.is_valid(raise_exception=True)
        names = ("name", "address", "shape", "with_names", "with_rows", "authorities", "client_certificate")
        known = {**{name: getattr(stream, name) for name in names}, "is_paused": stream.paused_at is not None}
        wanted = actions.Wanted(**{**known, **said.validated_data})
        return Response(StreamShape(actions.change(stream, wanted, actor=self.actor)).data)

    @extend_schema(summary="Send nothing there any more", responses={204: None})
    def delete(self, request: Request, ref: UUID) -> Response:
        """End a destination."""
        actions.end(queries.by_ref(ref), actor=self.actor)
        return Response(status=204)


class StreamTest(DoorView):
    """A test of a destination."""

    needs = _ADMIN

    @extend_schema(summary="Send a test", request=NothingIn, responses={202: StreamShape})
    def post(self, request: Request, ref: UUID) -> Response:
        """Have a test sent; `tested_at` and `test_error` say what came of it."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        actions.ask_for_test(queries.by_ref(ref), actor=self.actor)
        return Response(StreamShape(queries.by_ref(ref)).data, status=202)


class StreamSecret(DoorView):
    """A new secret of a webhook."""

    needs = _ADMIN

    @extend_schema(summary="Make a new secret, used at once", request=NothingIn, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, ref: UUID) -> Response:
        """Return a new secret, once."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        return Response({"secret": actions.renew_secret(queries.by_ref(ref), actor=self.actor)})


class LedgerStream(DoorView):
    """The ledger in its order, to fetch from."""

    needs = reads = _READERS
    filters = frozenset({"after", "shape", "names", "rows"})

    @extend_schema(
        operation_id="ledger_stream",
        summary="The sealed entries after a number, in their order and without gaps",
        parameters=[
            OpenApiParameter("after", int, description="The last number that you have; default -1, from the beginning"),
            OpenApiParameter("limit", int, description=f"Entries looked at, 1 to {MOST_ROWS}; default {MOST_ROWS}"),
            OpenApiParameter("shape", str, enum=Shape.values, description="default ocsf"),
            OpenApiParameter("names", str, enum=_YES_OR_NO, description="Names along with references; default no"),
            OpenApiParameter("rows", str, enum=_YES_OR_NO, description="Captured rows as well; default no"),
        ],
        responses=StreamPageShape,
    )
    def get(self, request: Request) -> Response:
        """Return a page of entries after a number."""
        after, limit = _whole(request, "after", -1, 2**62, -1), _whole(request, "limit", 1, MOST_ROWS, MOST_ROWS)
        with_names = choice(request, "names", _YES_OR_NO) == "yes"
        minimum = minimum_index()
        if after + 1 < minimum:
            raise Gone(f"Entries before {minimum} may have been disposed of. Go on with after={minimum - 1}.")
        batch = batch_from(
            after + 1,
            shape=choice(request, "shape", list(Shape.values)) or Shape.OCSF,
            with_names=with_names,
            with_rows=choice(request, "rows", _YES_OR_NO) == "yes",
            limit=limit,
        )
        note_fetched(after, with_names=with_names, actor=self.actor)
        head = latest_checkpoint()
        size = head.size if head else 0
        return Response(
            {"entries": list(batch.shaped), "last": batch.end - 1, "size": size, "has_more": batch.end < size}
        )


def _whole(request: Request, name: str, least: int, most: int, default: int) -> int:
    """Return the whole number a query names. Raises Invalid."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.removeprefix("-").isdecimal() or not text.isascii() or not least <= int(text[:20]) <= most:
        raise Invalid({name: f"Write a whole number from {least} to {most}."})
    return int(text)
