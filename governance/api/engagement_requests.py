"""What an audit asks and is given: requests, their threads, populations, samples, and what stands behind a row."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.engagements import HOSTS, EngagementView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, checked, choice, page_of
from governance.api.shapes import NothingIn, PersonBrief
from governance.core.errors import Invalid, NotFound
from governance.engagements import asking, queries, sampling
from governance.engagements.models import AuditRequest, AuditSample, Message, Population, RequestState
from governance.evidence.looking import LONGEST_SEED, MOST_SAMPLED
from governance.evidence.queries import gaps_of
from governance.evidence.reports.registry import BY_ID
from governance.ledger import queries as ledger
from governance.ledger.reading_log import note_opened


class AuditRequestShape(serializers.ModelSerializer[AuditRequest]):
    """Something the auditor asks for. `code` empty: in their own words; `report` empty: no report answers it."""

    class Meta:
        model = AuditRequest
        fields = ["number", "code", "report", "wording", "due_on", "state", "asked_by_ref", "asked_at", "changed_at"]


class GapShape(serializers.Serializer[Any]):
    """A hole in what is known of an application."""

    code = serializers.CharField()
    application = serializers.CharField()
    said = serializers.CharField()


class OneAuditRequestShape(AuditRequestShape):
    """A request with the gaps that its report has now."""

    gaps = serializers.SerializerMethodField(help_text="Sources that were not read completely or lately")

    class Meta(AuditRequestShape.Meta):
        fields = [*AuditRequestShape.Meta.fields, "gaps"]

    @extend_schema_field(GapShape(many=True))
    def get_gaps(self, asked: AuditRequest) -> Any:
        """Return the gaps; none where no report answers it."""
        found = gaps_of(sampling.question_for(asked.engagement)) if asked.report in BY_ID else ()
        return GapShape(found, many=True).data


class LineShape(serializers.ModelSerializer[Message]):
    """One line of the thread, with what was given: the `id` of a population, the `ref` of a bundle, or neither."""

    by = PersonBrief(read_only=True)
    bundle = serializers.SlugRelatedField[Any]("ref", read_only=True)

    class Meta:
        model = Message
        fields = ["kind", "text", "population", "bundle", "by", "at"]


class SampleShape(serializers.ModelSerializer[AuditSample]):
    """Rows that the auditor's seed chose; `sha256` is of their ids, each followed by a line feed."""

    n = serializers.IntegerField(source="number", read_only=True)

    class Meta:
        model = AuditSample
        fields = ["id", "seed", "n", "sha256", "taken_by_ref", "taken_at"]


class PopulationShape(serializers.ModelSerializer[Population]):
    """A report at one cut. `sha256` is of the file that a bundle with the same cut holds."""

    samples = SampleShape(many=True, read_only=True)

    class Meta:
        model = Population
        fields = [
            "id", "report", "known_at", "ledger_size", "rows", "exceptions", "sha256", "taken_by_ref", "taken_at",
            "samples",
        ]  # fmt: skip


class SampledShape(SampleShape):
    """A sample with its rows, as its report has them."""

    report = serializers.CharField(source="population.report", read_only=True)
    population = serializers.IntegerField(source="population_id", read_only=True)
    rows = serializers.SerializerMethodField()

    class Meta(SampleShape.Meta):
        fields = [*SampleShape.Meta.fields, "report", "population", "rows"]

    @extend_schema_field(serializers.ListField(child=serializers.DictField(child=serializers.CharField())))
    def get_rows(self, sample: AuditSample) -> list[dict[str, str]]:
        """Return the rows in the order of the seed."""
        return list(sampling.rows_of(sample).rows)


class BehindShape(serializers.Serializer[Any]):
    """An entry of the ledger. `body` is the text that was hashed: the proof is about it."""

    index = serializers.IntegerField()
    at = serializers.DateTimeField()
    event = serializers.CharField()
    actor_ref = serializers.CharField()
    door = serializers.CharField()
    body = serializers.CharField()


class ItemShape(serializers.Serializer[Any]):
    """One sampled row, and what the ledger says of it up to the population's cut, in its order."""

    row = serializers.DictField(child=serializers.CharField())
    entries = BehindShape(many=True)
    has_more = serializers.BooleanField(help_text="There are older ones than these")


class AuditRequestIn(StrictSerializer):
    """A request in one's own words; `report` is the one that answers it, where one does."""

    wording = serializers.CharField(max_length=asking.LONGEST_WORDING)
    report = serializers.CharField(max_length=4, allow_blank=True, default="")
    due_on = serializers.DateField(allow_null=True, default=None)


class SayIn(StrictSerializer):
    """Something to say."""

    text = serializers.CharField(max_length=asking.LONGEST_TEXT)


class MaySayIn(StrictSerializer):
    """Something to say, or nothing."""

    text = serializers.CharField(max_length=asking.LONGEST_TEXT, allow_blank=True, default="")


class AnswerToAuditIn(MaySayIn):
    """What is given: words, a population of this request, a bundle of this audit."""

    population = serializers.IntegerField(allow_null=True, default=None)
    bundle = serializers.UUIDField(allow_null=True, default=None)


class SampleIn(StrictSerializer):
    """The auditor's seed, and how many rows."""

    seed = serializers.CharField(max_length=LONGEST_SEED)
    n = serializers.IntegerField(default=25, min_value=1, max_value=MOST_SAMPLED)


class RequestView(EngagementView):
    """A view of one request of an audit."""

    def asked(self, ref: uuid.UUID, number: int) -> AuditRequest:
        """Return the request. Raises NotFound, and NotAllowed for who may not see its audit."""
        return queries.request_of(self.engagement(ref), number)


class AuditRequests(EngagementView, ListView):
    """Requests of an audit."""

    shape = AuditRequestShape
    ordering = "number"
    filters = frozenset({"state"})

    @extend_schema(
        operation_id="engagement_requests_list",
        summary="What an audit asks for, in the order of its numbers",
        parameters=[OpenApiParameter("state", str, enum=RequestState.values), *PAGE_WORDS],
        responses=page_of(AuditRequestShape),
    )
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return one page of requests."""
        found, state = self.engagement(ref), choice(request, "state", RequestState.values)
        return self.page(found.requests.filter(state=state) if state else found.requests.all())

    @extend_schema(
        summary="Ask for something in one's own words",
        request=AuditRequestIn,
        responses={201: AuditRequestShape},
    )
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Ask."""
        made = asking.add_request(self.engagement(ref), **checked(AuditRequestIn, request), actor=self.actor)
        return Response(AuditRequestShape(made).data, status=201)


class OneAuditRequest(RequestView):
    """One request of an audit."""

    @extend_schema(summary="One request of an audit", responses=OneAuditRequestShape)
    def get(self, request: Request, ref: uuid.UUID, number: int) -> Response:
        """Return it."""
        return Response(OneAuditRequestShape(self.asked(ref, number)).data)


class Thread(RequestView, ListView):
    """What was said and given."""

    shape = LineShape

    @extend_schema(
        operation_id="engagement_thread_list",
        summary="What was said and given about a request, the oldest first",
        parameters=[*PAGE_WORDS],
        responses=page_of(LineShape),
    )
    def get(self, request: Request, ref: uuid.UUID, number: int) -> Response:
        """Return one page of the thread."""
        return self.page(self.asked(ref, number).messages.select_related("by", "bundle"))

    @extend_schema(summary="Say something about a request", request=SayIn, responses={201: LineShape})
    def post(self, request: Request, ref: uuid.UUID, number: int) -> Response:
        """Say it."""
        asked = self.asked(ref, number)
        asking.say(asked, checked(SayIn, request)["text"], actor=self.actor)
        return Response(LineShape(_last_of(asked, self)).data, status=201)


class AnswerRequest(RequestView):
    """The company's answer."""

    needs, guests = HOSTS, frozenset()

    @extend_schema(
        summary="Answer a request; an earlier answer is replaced by it",
        request=AnswerToAuditIn,
        responses=AuditRequestShape,
    )
    def post(self, request: Request, ref: uuid.UUID, number: int) -> Response:
        """Give words, a population or a bundle."""
        asked, said = self.asked(ref, number), checked(AnswerToAuditIn, request)
        population = _named("population", queries.population_of, asked, said["population"])
        bundle = _named("bundle", queries.bundle_of, asked.engagement, said["bundle"])
        asking.answer(asked, said["text"], population=population, bundle=bundle, actor=self.actor)
        return Response(AuditRequestShape(self.asked(ref, number)).data)


class AcceptRequest(RequestView):
    """The auditor's yes."""

    @extend_schema(
        summary="Accept what was given, as an auditor of the audit", request=MaySayIn, responses=AuditRequestShape
    )
    def post(self, request: Request, ref: uuid.UUID, number: int) -> Response:
        """Accept it."""
        asking.accept(self.asked(ref, number), checked(MaySayIn, request)["text"], actor=self.actor)
        return Response(AuditRequestShape(self.asked(ref, number)).data)


class FlagRequest(RequestView):
    """The auditor's no."""

    @extend_schema(
        summary="Say what is wrong with what was given; the company answers again",
        request=SayIn,
        responses=AuditRequestShape,
    )
    def post(self, request: Request, ref: uuid.UUID, number: int) -> Response:
        """Flag it."""
        asking.flag(self.asked(ref, number), checked(SayIn, request)["text"], actor=self.actor)
        return Response(AuditRequestShape(self.asked(ref, number)).data)


class Populations(RequestView, ListView):
    """Populations of a request."""

    shape = PopulationShape
    ordering = "-id"

    @extend_schema(
        operation_id="engagement_populations_list",
        summary="Populations that were taken for a request, the latest first, each with its samples",
        parameters=[*PAGE_WORDS],
        responses=page_of(PopulationShape),
    )
    def get(self, request: Request, ref: uuid.UUID, number: int) -> Response:
        """Return one page of populations."""
        return self.page(self.asked(ref, number).populations.prefetch_related("samples"))

    @extend_schema(
        summary="Count the report that answers a request, and pin it", request=NothingIn,
        responses={201: PopulationShape},
    )  # fmt: skip
    def post(self, request: Request, ref: uuid.UUID, number: int) -> Response:
        """Take the population as of now; 409 when it takes longer than somebody waits."""
        checked(NothingIn, request)
        made = sampling.take_population(self.asked(ref, number), actor=self.actor)
        return Response(PopulationShape(made).data, status=201)


class TakeSample(RequestView):
    """A sample of a population."""

    @extend_schema(
        summary="Choose rows of a population by a seed, as an auditor of the audit",
        request=SampleIn,
        responses={201: SampledShape},
    )
    def post(self, request: Request, ref: uuid.UUID, number: int, population_id: int) -> Response:
        """Take the sample and return its rows."""
        population = queries.population_of(self.asked(ref, number), population_id)
        said = checked(SampleIn, request)
        made = sampling.take_sample(population, said["seed"], said["n"], actor=self.actor)
        return Response(SampledShape(made).data, status=201)


class OneSample(RequestView):
    """One sample."""

    @extend_schema(summary="A sample with its rows, in the order of the seed", responses=SampledShape)
    def get(self, request: Request, ref: uuid.UUID, number: int, sample_id: int) -> Response:
        """Return it."""
        return Response(SampledShape(queries.sample_of(self.asked(ref, number), sample_id)).data)


class OneItem(RequestView):
    """What stands behind one sampled row."""

    @extend_schema(
        summary="One sampled row with the entries behind it; that it was read is recorded", responses=ItemShape
    )
    def get(self, request: Request, ref: uuid.UUID, number: int, sample_id: int, row_no: int) -> Response:
        """Return the row and its timeline."""
        sample = queries.sample_of(self.asked(ref, number), sample_id)
        return Response(ItemShape(sampling.open_item(sample, row_no, actor=self.actor)).data)


class Proof(RequestView):
    """The proof of one entry behind a row. By POST, because it is recorded that it left the house."""

    @extend_schema(
        summary="The proof of one entry behind a sampled row, a C2SP tlog-proof that verifies offline",
        request=NothingIn,
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    def post(
        self, request: Request, ref: uuid.UUID, number: int, sample_id: int, row_no: int, index: int
    ) -> HttpResponse:
        """Hand the proof out."""
        checked(NothingIn, request)
        sample = queries.sample_of(self.asked(ref, number), sample_id)
        sampling.check_entry(sample, row_no, index, actor=self.actor)
        found = ledger.entry(index)
        note_opened(index, actor=self.actor, as_file=True)
        response = HttpResponse(found.proof_file, content_type="text/plain; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="entry-{index}.tlog-proof"'
        return response


def _named(field: str, find: Any, *of: Any) -> Any:
    """Return what the last of `of` names, or None; what is not there is wrong in the body, not in the address."""
    if of[-1] is None:
        return None
    try:
        return find(*of)
    except NotFound as error:
        raise Invalid({field: str(error)}) from error


def _last_of(asked: AuditRequest, view: RequestView) -> Message:
    return asked.messages.filter(by=view.person).select_related("by", "bundle").latest("id")
