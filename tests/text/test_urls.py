"""Registered domains without encoding every rule of the list."""

from publicsuffixlist import PublicSuffixList

from pipeline.text.urls import _suffixes, registered_domain


def test_the_suffixes_are_those_that_the_library_reads_by_itself() -> None:
    assert _suffixes()._publicsuffix == PublicSuffixList()._publicsuffix


def test_a_domain_in_punycode_is_found_as_the_written_one() -> None:
    assert registered_domain("www.xn--85x722f.xn--55qx5d.cn") == "xn--85x722f.xn--55qx5d.cn"
    assert registered_domain("www.食狮.公司.cn") == "食狮.公司.cn"
