"""Records by warcio: of ARC files, and of WARC files whose header lines end in a bare line feed."""

from collections.abc import Iterator
from typing import BinaryIO

from pipeline.readers.contract import UnreadableRange
from pipeline.readers.records import DOCUMENT_RECORD_TYPES, Record
from pipeline.schema.drop_reasons import DropReason


def read_by_warcio(file: BinaryIO, max_record_bytes: int, is_arc: bool = False) -> Iterator[Record | UnreadableRange]:
    """The records of a file, without their lengths in it; where warcio gives up, the rest is an unreadable range.

    Raises OSError when the storage fails.
    """
    from warcio.archiveiterator import ArchiveIterator as WarcioIterator
    from warcio.exceptions import ArchiveLoadFailed

    iterator = WarcioIterator(file, no_record_parse=True, arc2warc=True)
    try:
        for raw in iterator:
            headers = {name.lower(): value for name, value in raw.rec_headers.headers}
            if is_arc:
                headers.pop("warc-record-id", None)  # ARC has none: warcio makes one up, another each time
            declared = int(raw.length or 0)  # the header line counts what follows it in the ARC file, not the block
            record = Record(0, raw.rec_type, headers, declared, None)
            if raw.rec_type in DOCUMENT_RECORD_TYPES and declared > max_record_bytes:
                record.fault = DropReason.RECORD_TOO_LARGE
            elif raw.rec_type in DOCUMENT_RECORD_TYPES:
                record.body = raw.raw_stream.read()
                record.fault = DropReason.TRUNCATED_RECORD if len(record.body) < declared else None
            record.offset = iterator.get_record_offset()  # skips what is left of the record: after the body
            yield record
    except (ArchiveLoadFailed, OSError, EOFError, ValueError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # the storage failed, not the bytes
        yield UnreadableRange(file.tell(), file.seek(0, 2), "unreadable")
