"""Registered domains without encoding every rule of the list."""

from publicsuffixlist import PublicSuffixList

from pipeline.text.urls import _rules, _suffixes, registered_domain


def test_the_rules_are_those_that_the_library_reads_by_itself() -> None:
    whole = PublicSuffixList()
    assert set().union(*(_suffixes(label)._publicsuffix for label in _rules())) == whole._publicsuffix
    for rule in sorted(whole._publicsuffix):
        name = rule.removeprefix("!").replace("*", "any")
        for host in (name, f"a.{name}", f"a.b.{name}", f"A.B.C.{name.upper()}"):
            assert registered_domain(host) == (whole.privatesuffix(host) or host), host


def test_hosts_that_no_rule_is_about_keep_their_last_two_labels() -> None:
    for host, domain in (("a.b.invalid", "b.invalid"), ("a.b.xn--zzzz--", "b.xn--zzzz--"), ("localhost", "localhost")):
        assert registered_domain(host) == domain
    assert registered_domain("") == ""


def test_a_domain_in_punycode_is_found_as_the_written_one() -> None:
    assert registered_domain("www.xn--85x722f.xn--55qx5d.cn") == "xn--85x722f.xn--55qx5d.cn"
    assert registered_domain("www.食狮.公司.cn") == "食狮.公司.cn"
