"""EVE-NG's HTTP: sessions that end, answers that get lost, servers that are none, certificates, secrets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from eve_ng_fake import LAB, PASSWORD, PRO, USER, FakeEveNg, self_signed, serving
from eve_ng_play import Time

from harness.errors import LabError, UsageError
from harness.lab.providers.eve_ng_api import EveNgApi, lab_path
from harness.lab.providers.eve_ng_http import EveNgError, Gone, Refused, Session, SessionTaken, server_url
from harness.model.secret import Secret


@pytest.fixture
def fake() -> Iterator[FakeEveNg]:
    with serving(FakeEveNg()) as one:
        yield one


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


def session(fake: FakeEveNg, time: Time | None = None, password: str = PASSWORD, verify: bool | str = True) -> Session:
    time = time or Time()
    return Session(fake.url, USER, Secret(password), verify=verify, timeout_s=30, clock=time.clock, sleep=time.sleep)


def test_a_session_is_opened_once_and_closed(fake: FakeEveNg) -> None:
    one = session(fake)
    one.read("/status", "ask")
    one.read("/status", "ask")
    one.close()
    one.close()
    assert [path for _, path, _ in fake.requests] == ["/api/auth/login", "/api/status", "/api/status", "/api/auth/logout"]
    assert fake.session is None


def test_login_asks_for_native_consoles(fake: FakeEveNg) -> None:
    session(fake).read("/status", "ask")
    assert fake.requests[0][2] == {"username": USER, "password": "…", "html5": "-1"}
    assert fake.native


def test_a_cookie_for_a_server_without_a_dot_in_its_name(fake: FakeEveNg) -> None:
    fake.url = fake.url.replace("127.0.0.1", "localhost")
    assert session(fake).read("/status", "ask")["version"] == fake.version


def test_wrong_password_names_the_user_and_never_the_password(fake: FakeEveNg) -> None:
    with pytest.raises(Refused) as caught:
        session(fake, password="not this one").read("/status", "ask")
    text = str(caught.value)
    assert USER in text
    assert "(90014)" in text
    assert "not this one" not in text
    assert len(fake.requests) == 1, "a password that is wrong once is wrong twice, and may lock the user out"


@pytest.mark.parametrize("fault", ["session over", "session over, bare 400"])
def test_a_session_that_ended_is_opened_again_and_the_read_repeated(fake: FakeEveNg, fault: str) -> None:
    fake.faults[2] = fault
    one = session(fake)
    one.read("/status", "ask")
    assert one.read("/auth", "ask")["username"] == USER
    assert [path for _, path, _ in fake.requests[1:]] == ["/api/status", "/api/auth", "/api/auth/login", "/api/auth"]


def test_another_login_ends_ours_and_we_take_it_back_once(fake: FakeEveNg) -> None:
    ours, theirs = session(fake), session(fake)
    ours.read("/status", "ask")
    theirs.read("/status", "ask")
    assert ours.read("/status", "ask")["version"] == fake.version
    assert len(fake.asked("auth/login")) == 3


@pytest.mark.parametrize("version", ["6.2.0-4", PRO])
def test_whoever_takes_the_session_over_again_and_again_is_told_about(fake: FakeEveNg, version: str) -> None:
    fake.version = version
    fake.greedy = True
    one = session(fake)

    def work() -> None:
        for _ in range(20):
            one.read("/status", "ask")

    with pytest.raises(SessionTaken) as caught:
        work()
    assert "one session a user" in str(caught.value)
    assert len(fake.asked("auth/login")) <= 5


def test_sessions_that_time_out_hours_apart_are_no_takeover(fake: FakeEveNg) -> None:
    time = Time()
    one = session(fake, time)
    for _ in range(10):
        one.read("/status", "ask")
        fake.forget_session()
        time.now += 3600
    assert len(fake.asked("auth/login")) == 10


def test_a_request_that_is_not_valid_is_no_lost_session(fake: FakeEveNg) -> None:
    with pytest.raises(Refused, match=r"Request not valid \(60027\)"):
        session(fake).read(f"/labs{LAB}/nodes/99/interfaces".replace(" ", "%20"), "ask")
    assert len(fake.asked("nodes/99")) == 2
    assert len(fake.asked("auth/login")) == 2


@pytest.mark.parametrize("fault", ["cut before", "cut after", "page before", "page after"])
def test_a_read_whose_answer_is_lost_is_asked_again(fake: FakeEveNg, fault: str) -> None:
    fake.faults[1] = fault
    assert session(fake).read("/status", "ask")["version"] == fake.version
    assert len(fake.asked("status")) == 2


def test_a_server_that_is_gone_is_not_asked_for_ever(fake: FakeEveNg) -> None:
    fake.gone_from = 1
    with pytest.raises(Gone) as caught:
        session(fake).read("/status", "ask EVE-NG for its version")
    assert "does not answer" in str(caught.value)
    assert PASSWORD not in repr(caught.value.__context__)
    assert len(fake.asked("status")) == 3


def test_an_error_page_tells_of_locks_left_behind(fake: FakeEveNg) -> None:
    fake.faults = dict.fromkeys(range(1, 9), "page before")
    with pytest.raises(Gone, match=r"answered 500[\s\S]*\.lock"):
        session(fake).read("/status", "ask")


@pytest.mark.parametrize(
    ("fault", "starts"), [("cut before", 2), ("page before", 2), ("session over", 2), ("cut after", 1), ("page after", 1)]
)
def test_an_act_is_repeated_only_where_it_did_not_happen(fake: FakeEveNg, fault: str, starts: int) -> None:
    api = EveNgApi(session(fake), LAB)
    node = api.nodes()[1]
    fake.faults[len(fake.requests)] = fault
    api.start(node)
    assert len(fake.asked("nodes/1/start")) == starts
    assert fake.nodes[1].becomes == 2


def test_an_act_that_got_lost_twice_is_looked_at_once_more(fake: FakeEveNg) -> None:
    api = EveNgApi(session(fake), LAB)
    node = api.nodes()[1]
    first = len(fake.requests)
    fake.faults = {first: "cut before", first + 2: "cut after"}  # between them: the look
    api.start(node)
    assert len(fake.asked("nodes/1/start")) == 2


def test_an_act_that_never_happens_is_an_error(fake: FakeEveNg) -> None:
    api = EveNgApi(session(fake), LAB)
    node = api.nodes()[1]
    first = len(fake.requests)
    fake.faults = {first: "cut before", first + 2: "cut before"}
    with pytest.raises(Gone):
        api.start(node)
    assert len(fake.asked("nodes/1/start")) == 2
    assert fake.nodes[1].status == 0


def test_a_role_that_may_not_is_named_and_not_taken_for_a_lost_session(fake: FakeEveNg) -> None:
    fake.role = "user"
    with pytest.raises(Refused, match="role"):
        EveNgApi(session(fake), LAB).attach(1, 0, 0)
    assert len(fake.asked("auth/login")) == 1


def test_a_rewiring_that_did_not_happen_is_noticed(fake: FakeEveNg) -> None:
    fake.deaf = True
    with pytest.raises(EveNgError, match="where it was"):
        EveNgApi(session(fake), LAB).attach(1, 0, 0)


def test_lab_missing_lists_what_is_there(fake: FakeEveNg) -> None:
    with pytest.raises(LabError) as caught:
        EveNgApi(session(fake), "/Interop tests/Elsewhere").must_exist()
    text = str(caught.value)
    assert "(60000)" in text
    assert f"in /Interop tests there is {LAB}, /Interop tests/Other.unl" in text


def test_lab_in_a_folder_that_is_missing_lists_the_nearest_one(fake: FakeEveNg) -> None:
    with pytest.raises(LabError, match=r"in / there is /Empty/, /Interop tests/"):
        EveNgApi(session(fake), "/Nowhere/at all/x.unl").must_exist()


def test_lab_missing_in_an_empty_folder(fake: FakeEveNg) -> None:
    with pytest.raises(LabError, match="the folder /Empty is empty"):
        EveNgApi(session(fake), "/Empty/x.unl").must_exist()


def test_pro_with_its_certificate_named(certificate: Path) -> None:
    with serving(FakeEveNg(PRO), certificate) as fake:
        api = EveNgApi(session(fake, verify=str(certificate)), LAB)
        assert api.edition().pro
        assert len(api.nodes()) == 4


def test_pro_without_a_look_at_the_certificate_warns_nobody(certificate: Path, recwarn: pytest.WarningsRecorder) -> None:
    with serving(FakeEveNg(PRO), certificate) as fake:
        assert EveNgApi(session(fake, verify=False), LAB).edition().pro
    assert not recwarn.list


def test_verify_false_holds_against_the_environment(certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(self_signed(other)))
    with serving(FakeEveNg(PRO), certificate) as fake:
        assert EveNgApi(session(fake, verify=False), LAB).edition().pro


def test_neither_a_proxy_nor_a_netrc_of_the_environment_comes_between(
    fake: FakeEveNg, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import eve_ng_fake

    seen = []
    real = eve_ng_fake._Handler.do_POST

    def look(handler: eve_ng_fake._Handler) -> None:
        seen.append(handler.headers.get("Authorization"))
        real(handler)

    monkeypatch.setattr(eve_ng_fake._Handler, "do_POST", look)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(FakeEveNg()) as proxy:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert session(fake).read("/status", "ask")["version"] == fake.version
        assert proxy.requests == []
    assert seen == [None]


def test_a_certificate_that_is_not_trusted_is_refused_with_both_cures(certificate: Path) -> None:
    with serving(FakeEveNg(PRO), certificate) as fake:
        with pytest.raises(EveNgError) as caught:
            session(fake).read("/status", "ask")
        assert not fake.requests, "no password to a server that nobody vouches for"
    text = str(caught.value)
    assert "not trusted" in text
    assert "verify: FILE" in text
    assert "verify: false" in text


def test_a_ca_file_that_is_missing_or_none(certificate: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("this is no certificate\n")
    with serving(FakeEveNg(PRO), certificate) as fake:
        for file in (tmp_path / "missing.pem", empty):
            with pytest.raises(UsageError, match=file.name):
                session(fake, verify=str(file)).read("/status", "ask")


def test_https_to_a_server_without_tls(fake: FakeEveNg) -> None:
    fake.url = fake.url.replace("http:", "https:")
    with pytest.raises(EveNgError, match="does not speak TLS"):
        session(fake).read("/status", "ask")


def test_a_server_that_sends_us_on_is_not_followed(monkeypatch: pytest.MonkeyPatch, fake: FakeEveNg) -> None:
    import eve_ng_fake

    def redirect(handler: eve_ng_fake._Handler) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        handler.send_response(302)
        handler.send_header("Location", "https://eve.example/api/auth/login")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    monkeypatch.setattr(eve_ng_fake._Handler, "do_POST", redirect)
    with pytest.raises(EveNgError, match=r"https://eve\.example[\s\S]*Pro needs it"):
        session(fake).read("/status", "ask")


@pytest.mark.parametrize("text", ["eve.example", "ftp://eve.example", "https://", "http://eve:port", "https://admin:hush@eve.example"])
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        server_url(text)
    assert "hush" not in str(caught.value)


def test_a_server_loses_its_path() -> None:
    assert server_url("https://eve.example:8443/legacy/") == "https://eve.example:8443"


@pytest.mark.parametrize(
    ("text", "path"), [("A/B", "/A/B.unl"), ("/A//B.unl", "/A/B.unl"), ("B", "/B.unl"), ("/Übung 1/x", "/Übung 1/x.unl")]
)
def test_paths_of_labs(text: str, path: str) -> None:
    assert lab_path(text) == path


@pytest.mark.parametrize("text", ["", "/", "../../etc/passwd", "/a/./b", "/a\nb"])
def test_what_is_no_path_of_a_lab(text: str) -> None:
    with pytest.raises(UsageError):
        lab_path(text)


def test_answers_that_are_not_as_documented(fake: FakeEveNg, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in ("text", {"1": "text"}, {"x": {}}, {"1": {"status": "on"}}):
        reply = {"status": "success", "data": data}
        monkeypatch.setattr(FakeEveNg, "_object", lambda self, method, path, body, reply=reply: (200, reply))
        with pytest.raises(EveNgError, match=r"as documented|no number"):
            EveNgApi(session(fake), LAB).nodes()
