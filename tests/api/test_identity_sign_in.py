"""Registration, sign-in, refresh and their refusals, over HTTP."""

import asyncio
import time
from datetime import timedelta

import httpx
import pyotp

from api.app import create_app
from cli.embedded import EmbeddedEngines
from tests.api.conftest import PASSWORD, Api


async def test_a_customer_registers_verifies_and_signs_in(api: Api) -> None:
    person = await api.signed_in()
    answer = await api.get(f"/v1/users/{person.user_id}/profile", headers=person.headers)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["full_name"], body["email"], body["phone"]) == ("Asha Verma", person.email, person.phone)
    assert body["email_verified"]
    assert body["phone_verified"]


async def test_sign_in_answers_what_the_contract_says(api: Api) -> None:
    person = await api.verified()
    body = (await api.sign_in(person)).json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in", "user_id"}
    assert (body["token_type"], body["expires_in"], body["user_id"]) == ("bearer", 900, person.user_id)


async def test_a_code_fits_once_verified_stays_verified_and_a_wrong_one_is_refused(api: Api) -> None:
    person = await api.register()
    code = await api.code(person.user_id, "email")
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    body = {"user_id": person.user_id, "channel": "email", "code": wrong}
    refused = await api.post("/v1/auth/verify", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "code_invalid")
    answer = await api.post("/v1/auth/verify", json=body | {"code": code})
    assert answer.json() == {"email_verified": True, "phone_verified": False}


async def test_a_code_is_worn_out_by_five_tries(api: Api) -> None:
    person = await api.register()
    code = await api.code(person.user_id, "email")
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    body = {"user_id": person.user_id, "channel": "email"}
    for _ in range(5):
        await api.post("/v1/auth/verify", json=body | {"code": wrong})
    assert (await api.post("/v1/auth/verify", json=body | {"code": code})).status_code == 422
    await api.post("/v1/auth/verify/resend", json=body)
    fresh = await api.code(person.user_id, "email")
    assert (await api.post("/v1/auth/verify", json=body | {"code": fresh})).status_code == 200


async def test_a_taken_mail_gets_a_decoy_and_its_owner_a_message(api: Api) -> None:
    owner = await api.verified()
    before = len(await api.letters(owner.user_id))
    decoy = await api.register(email=owner.email)
    assert decoy.user_id != owner.user_id
    told = (await api.letters(owner.user_id))[before:]
    assert [channel for channel, _ in told] == ["email"]
    assert "tried to register" in told[0][1]
    assert await api.letters(decoy.user_id) == []
    body = {"user_id": decoy.user_id, "channel": "email", "code": "123456"}
    assert (await api.post("/v1/auth/verify", json=body)).json()["code"] == "code_invalid"
    del body["code"]
    assert (await api.post("/v1/auth/verify/resend", json=body)).json() == {"status": "sent"}
    assert (await api.sign_in(owner)).status_code == 200


async def test_a_taken_phone_is_told_at_the_phone(api: Api) -> None:
    owner = await api.verified()
    before = len(await api.letters(owner.user_id))
    await api.register(phone=owner.phone)
    assert [channel for channel, _ in (await api.letters(owner.user_id))[before:]] == ["sms"]


async def test_the_time_of_registration_does_not_tell_a_taken_mail(api: Api) -> None:
    owner = await api.verified()

    async def seconds(**given: str) -> float:
        began = time.perf_counter()
        await api.register(**given)
        return time.perf_counter() - began

    # In turns, and the quickest of each: what the machine does beside us slows both alike.
    pairs = [(await seconds(), await seconds(email=owner.email)) for _ in range(8)]
    fresh, taken = (min(side) for side in zip(*pairs, strict=True))
    assert abs(fresh - taken) < 0.05


async def test_registration_under_one_key_is_one_account(api: Api) -> None:
    body = {"email": "once@example.in", "phone": "98765 43210", "password": PASSWORD, "full_name": "Once"}
    key = {"Idempotency-Key": "reg-1"}
    first = await api.post("/v1/auth/register", json=body, headers=key)
    again = await api.post("/v1/auth/register", json=body, headers=key)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await api.post("/v1/auth/register", json=body | {"full_name": "Twice"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_racing_registrations_of_one_mail_make_one_account(api: Api) -> None:
    people = await asyncio.gather(*(api.register(email="race@example.in") for _ in range(6)))
    written_to = [person for person in people if await api.letters(person.user_id)]
    assert len(written_to) == 1


async def test_registration_refuses_what_is_no_contact_and_a_guessable_password(api: Api) -> None:
    body = {"email": "a@example.in", "phone": "9876543210", "password": PASSWORD, "full_name": "A"}
    for change, pointer in (
        ({"email": "nobody"}, "/email"),
        ({"phone": "12345"}, "/phone"),
        ({"full_name": " "}, "/full_name"),
        ({"role": "admin"}, "/role"),
    ):
        answer = await api.post("/v1/auth/register", json=body | change)
        assert answer.status_code == 422, change
        assert answer.json()["errors"][0]["pointer"] == pointer
    weak = await api.post("/v1/auth/register", json=body | {"password": "password123"})
    assert (weak.status_code, weak.json()["code"]) == (422, "weak_password")


async def test_sign_in_refuses_a_wrong_password_and_an_unknown_mail_alike(api: Api) -> None:
    person = await api.verified()
    wrong = await api.post("/v1/auth/login", json={"email": person.email, "password": "not this one"})
    unknown = await api.post("/v1/auth/login", json={"email": "who@example.in", "password": "not this one"})
    for answer in (wrong, unknown):
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    unverified = await api.register()
    assert (await api.sign_in(unverified)).json()["code"] == "verification_pending"


async def test_sign_in_rests_after_five_failures_for_anyone(api: Api) -> None:
    person = await api.verified()
    for email in (person.email, "never-registered@example.in"):
        body = {"email": email, "password": "not this one"}
        for _ in range(5):
            assert (await api.post("/v1/auth/login", json=body)).status_code == 401
        answer = await api.post("/v1/auth/login", json=body)
        assert (answer.status_code, answer.json()["code"]) == (429, "sign_in_locked")
        assert 0 < int(answer.headers["Retry-After"]) <= 30
    assert (await api.sign_in(person)).status_code == 429


async def test_a_refresh_token_gives_a_new_pair_and_its_repeat_a_fresh_one(api: Api) -> None:
    person = await api.signed_in()
    first = await _refresh(api, person.refresh_token)
    repeat = await _refresh(api, person.refresh_token)
    assert repeat.status_code == 200
    assert repeat.json()["refresh_token"] != first.json()["refresh_token"]
    voided = await _refresh(api, first.json()["refresh_token"])
    assert (voided.status_code, voided.json()["code"]) == (401, "refresh_reused")


async def test_a_repeat_after_the_successor_was_used_ends_the_family(api: Api) -> None:
    person = await api.signed_in()
    second = (await _refresh(api, person.refresh_token)).json()
    third = (await _refresh(api, second["refresh_token"])).json()
    reused = await _refresh(api, person.refresh_token)
    assert (reused.status_code, reused.json()["code"]) == (401, "refresh_reused")
    assert (await _refresh(api, third["refresh_token"])).status_code == 401
    headers = {"Authorization": f"Bearer {third['access_token']}"}
    ended = await api.get("/v1/auth/sessions", headers=headers)
    assert (ended.status_code, ended.json()["code"]) == (401, "session_ended")


async def test_a_spent_token_after_the_grace_ends_the_family(api: Api) -> None:
    person = await api.signed_in()
    second = (await _refresh(api, person.refresh_token)).json()
    async with api.platform.database.reading() as connection:
        await connection.execute(
            "UPDATE user_management.refresh_tokens SET spent_at = spent_at - %s WHERE spent_at IS NOT NULL",
            (timedelta(seconds=11),),
        )
    assert (await _refresh(api, person.refresh_token)).json()["code"] == "refresh_reused"
    assert (await _refresh(api, second["refresh_token"])).status_code == 401


async def test_two_uses_of_one_refresh_token_at_once_leave_one_living_pair(api: Api) -> None:
    person = await api.signed_in()
    answers = await asyncio.gather(*(_refresh(api, person.refresh_token) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    async with api.platform.database.reading() as connection:
        cursor = await connection.execute(
            """SELECT count(*) AS n FROM user_management.refresh_tokens t
               JOIN user_management.sessions s USING (session_id)
               WHERE s.user_id = %s AND spent_at IS NULL AND voided_at IS NULL""",
            (person.user_id,),
        )
        assert await cursor.fetchone() == {"n": 1}


async def test_signing_out_ends_the_access_token_at_once(api: Api) -> None:
    person = await api.signed_in()
    assert (await api.post("/v1/auth/logout", headers=person.headers)).status_code == 204
    assert (await api.get("/v1/auth/sessions", headers=person.headers)).json()["code"] == "session_ended"
    assert (await _refresh(api, person.refresh_token)).json()["code"] == "refresh_invalid"


async def test_sessions_are_listed_and_ended_by_their_owner_only(api: Api) -> None:
    person, other = await api.signed_in(), await api.signed_in()
    await api.sign_in(person)
    items = (await api.get("/v1/auth/sessions", headers=person.headers)).json()["items"]
    assert [item["current"] for item in items] == [True, False]
    path = f"/v1/auth/sessions/{items[1]['session_id']}"
    assert (await api.delete(path, headers=other.headers)).status_code == 404
    assert (await api.delete(path, headers=person.headers)).status_code == 204
    assert len((await api.get("/v1/auth/sessions", headers=person.headers)).json()["items"]) == 1


async def test_totp_is_due_once_active_and_each_code_is_used_once(api: Api) -> None:
    person = await api.signed_in()
    recovery = await api.with_totp(person)
    assert len(recovery) == 10
    due = await api.sign_in(person)
    assert (due.status_code, due.json()["code"]) == (401, "totp_required")
    code = pyotp.TOTP(person.totp_secret).now()
    assert (await api.sign_in(person, totp=code)).status_code == 200
    replay = await api.sign_in(person, totp=code)
    assert (replay.status_code, replay.json()["code"]) == (401, "totp_invalid")
    assert (await api.sign_in(person, totp=recovery[0])).status_code == 200
    assert (await api.sign_in(person, totp=recovery[0])).json()["code"] == "totp_invalid"


async def test_a_wrong_code_does_not_activate_totp(api: Api) -> None:
    person = await api.signed_in()
    none = await api.post("/v1/auth/totp/activate", json={"code": "000000"}, headers=person.headers)
    assert (none.status_code, none.json()["code"]) == (409, "totp_not_enrolled")
    secret = (await api.post("/v1/auth/totp/enroll", headers=person.headers)).json()["secret"]
    wrong = pyotp.TOTP(secret).at(int(time.time()) + 3600)
    refused = await api.post("/v1/auth/totp/activate", json={"code": wrong}, headers=person.headers)
    assert refused.json()["code"] == "code_invalid"
    assert (await api.sign_in(person)).status_code == 200


async def _refresh(api: Api, token: str) -> httpx.Response:
    return await api.post("/v1/auth/refresh", json={"refresh_token": token})


async def test_onboarding_is_promised_for_an_account_and_never_for_a_decoy(
    engines: EmbeddedEngines, api: Api
) -> None:
    app = create_app(engines.settings.model_copy(update={"temporal": "127.0.0.1:1", "limit_factor": 1000.0}))
    async with app.router.lifespan_context(app), Api(app) as without_temporal:
        person = await without_temporal.verified()
        decoy = await without_temporal.register(email=person.email)
        assert (await without_temporal.sign_in(person)).status_code == 200
    commands = api.platform.commands
    async with api.platform.database.reading() as connection:
        await connection.execute(
            "UPDATE platform.commands SET lease_until = now() - interval '1 s' WHERE business_id IN (%s, %s)",
            (person.user_id, decoy.user_id),
        )
    left = {promise.business_id: promise.drive for promise in await commands.lapsed(1000)}
    assert left[person.user_id].workflow_id == f"onboarding:{person.user_id}"
    assert left[person.user_id].start is not None
    assert left[person.user_id].start.keys() >= {"user_id", "assertion_public_key"}
    assert decoy.user_id not in left
    drive = left[person.user_id].model_dump_json()
    assert person.email not in drive
    assert person.phone not in drive


async def test_contacts_of_an_account_that_nobody_proved_are_free_after_a_day(api: Api) -> None:
    first = await api.register()
    async with api.platform.database.reading() as connection:
        await connection.execute(
            "UPDATE user_management.users SET created_at = now() - interval '25 hours' WHERE user_id = %s",
            (first.user_id,),
        )
    second = await api.verified(email=first.email)
    second.email = first.email
    assert (await api.sign_in(second)).json()["user_id"] == second.user_id
