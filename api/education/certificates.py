"""Certificates: listed, read, as PDF, and verified by anyone."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.education.diploma import render
from api.education.shapes import Certificate, CertificatePage, Verification
from api.pages import Page, cut
from api.platform import Platform, PlatformDep, platform
from api.principal import CurrentUser, current_user, guard, own
from api.problems import Problem
from models.contracts.credentials import ForgedCredential, check, credential_url, public_jwk
from store import education_certificates

router = APIRouter(prefix="/v1/certificates", tags=["education"])

STAFF = ("support", "instructor")
PDF: dict[int | str, dict[str, Any]] = {200: {"content": {"application/pdf": {}}}}


@guard
async def readable(request: Request, id: str) -> dict[str, Any]:
    """The certificate in the path, if it is the caller's or the caller is staff; else 404."""
    principal = await current_user(request)
    row = await _find(platform(request), id)
    own(principal, row["user_id"] if row else None, *STAFF)
    return row or {}


Readable = Annotated[dict[str, Any], Depends(readable)]


@router.get("", response_model=CertificatePage)
async def listing(query: Page, platform: PlatformDep, principal: CurrentUser) -> CertificatePage:
    async with platform.database.reading() as connection:
        rows = await education_certificates.listing(
            connection, principal.user_id, after=query.after, limit=query.limit + 1
        )
    shown, cursor = cut(rows, query, "place")
    return CertificatePage(items=[await _answer(platform, row) for row in shown], next_cursor=cursor)


@router.get("/keys/{thumbprint}")
async def key(thumbprint: str, platform: PlatformDep) -> dict[str, Any]:
    """The public key that a credential's header names, as a JWK (Open Badges 3.0, 8.2.4)."""
    found = public_jwk(platform.settings.certificate_public_keys, thumbprint)
    if found is None:
        raise Problem(404)
    return found


@router.get("/{id}.pdf", response_class=Response, responses=PDF)
async def pdf(certificate: Readable, platform: PlatformDep) -> Response:
    async with platform.database.transaction() as connection:
        holder = await education_certificates.holder(connection, platform.vault, certificate)
    if holder is None:
        raise Problem(404)
    url = credential_url(platform.settings.public_url, certificate["certificate_id"])
    content = await run_in_threadpool(
        render, certificate, holder, platform.settings.supplier_name, f"{url}/verify"
    )
    headers = {"Content-Disposition": f'inline; filename="{certificate["certificate_id"]}.pdf"'}
    return Response(content, media_type="application/pdf", headers=headers)


@router.get("/{id}/verify", response_model=Verification)
async def verify(id: str, platform: PlatformDep) -> Verification:
    """Whether we issued it, as it stands, and it holds; open to everyone. The holder's name is in the
    credential as a salted hash: whoever has the printed name can compare it."""
    row = await _find(platform, id)
    if row is None:
        raise Problem(404)
    try:
        credential = check(row["credential"], platform.settings.certificate_public_keys)
    except ForgedCredential:
        return Verification(valid=False, status="tampered", credential=None)
    if not _says_the_same(row, credential, platform.settings.public_url):
        return Verification(valid=False, status="tampered", credential=None)
    revoked = row["revoked_at"] is not None
    return Verification(valid=not revoked, status="revoked" if revoked else "valid", credential=credential)


@router.get("/{id}", response_model=Certificate)
async def one(certificate: Readable, platform: PlatformDep) -> Certificate:
    return await _answer(platform, certificate)


async def _find(platform: Platform, certificate_id: str) -> dict[str, Any] | None:
    async with platform.database.reading() as connection:
        return await education_certificates.find(connection, certificate_id)


def _says_the_same(row: dict[str, Any], credential: dict[str, Any], public_url: str) -> bool:
    """Whether the row is the one that the credential was signed for."""
    achievement = credential["credentialSubject"]["achievement"]
    return (
        credential["jti"] == credential["id"] == credential_url(public_url, row["certificate_id"])
        and achievement["id"] == f"{public_url}/v1/courses/{row['course_id']}"
        and achievement["name"] == row["course_title"]
        and achievement["version"] == str(row["syllabus"])
        and credential["nbf"] == int(row["issued_at"].timestamp())
    )


async def _answer(platform: Platform, row: dict[str, Any]) -> Certificate:
    async with platform.database.transaction() as connection:
        holder = await education_certificates.holder(connection, platform.vault, row)
    return Certificate(
        certificate_id=row["certificate_id"],
        enrollment_id=row["enrollment_id"],
        course_id=row["course_id"],
        syllabus_version=row["syllabus"],
        course_title=row["course_title"],
        holder=holder,
        status="revoked" if row["revoked_at"] else "valid",
        issued_at=row["issued_at"],
        revoked_at=row["revoked_at"],
        credential_jwt=row["credential"],
        verify_url=f"{credential_url(platform.settings.public_url, row['certificate_id'])}/verify",
    )
