"""Files: which ones are meant, and their arrivals in blocks (told apart: `pipeline.io.framing`)."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import PBegin, PCollection

from pipeline.io.framing import frame, whole_lines
from transforms import coders as _registered  # noqa: F401 - blocks travel as rows
from transforms.elements import Block
from transforms.errors import ActivationError, ConfigurationError
from transforms.formats.csv_rows import Columns

BYTES_PER_BLOCK: Final = 1 << 20
"""Some thousands of lines: enough that what a block costs on its way is not felt."""

SPACING: Final = 1 << 40
"""Between the positions of one file's first arrival and the next's."""

_DECOMPRESSORS: Final[dict[str, Callable[[IO[bytes]], Any]]] = {
    CompressionTypes.GZIP: gzip.open,
    CompressionTypes.BZIP2: bz2.open,
    CompressionTypes.LZMA: lzma.open,
}


def expand(patterns: Sequence[str]) -> list[str]:
    """The files that paths and globs stand for.

    Args:
      patterns: of any filesystem that Beam knows. One that is the very name of a file means
        that file, whatever it would match as a glob.

    Returns:
      Each file once; in the order of the patterns, sorted within each.

    Raises:
      ConfigurationError: a pattern matches nothing, or its filesystem cannot be asked.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        for path in _match(pattern):
            found.setdefault(path if "://" in path else str(Path(path).resolve()), path)
    return list(found.values())


def _match(pattern: str) -> list[str]:
    if Path(pattern).is_dir():
        raise ConfigurationError(
            f"{pattern} is a directory; name its files, as in '{pattern.rstrip('/')}/*'"
        )
    try:
        if FileSystems.exists(pattern):
            return [pattern]
        # Beam looks for a bare `*.jsonl` nowhere at all.
        here = "" if "/" in pattern else "./"
        (matched,) = FileSystems.match([here + pattern])
    except Exception as error:  # each filesystem has exceptions of its own
        raise ConfigurationError(f"{pattern} cannot be looked for: {error}") from error
    if not matched.metadata_list:
        raise ConfigurationError(
            f"no file matches {pattern!r}; check the path, which is taken from the directory "
            "that the command is started in"
        )
    return sorted(metadata.path.removeprefix(here) for metadata in matched.metadata_list)


def blocks(
    path: str, position: int, bytes_per_block: int = BYTES_PER_BLOCK, columns: Columns = ()
) -> Iterator[Block]:
    """Reads a file, compressed or not, in blocks of whole arrivals.

    Args:
      path: of any filesystem that Beam knows; a compressed one is told by its name.
      position: of the first arrival; each line or row takes one more.
      bytes_per_block: about; a block is longer where one arrival is.
      columns: names for the columns of a table, as of `transforms.formats.csv_rows.rename`.

    Yields:
      Blocks, which together hold all its arrivals; of an empty file none.

    Raises:
      ActivationError: it cannot be read to its end; compressed, it may be cut short.
    """
    with ExitStack() as stack:
        try:
            chunks = whole_lines(open_file(path, stack), bytes_per_block)
            framed = frame(chunks, bytes_per_block, columns)
            line = framed.line
            for lines in framed.batches:
                yield Block(path, position, lines, line, framed.header)
                position += len(lines)
                line += len(lines)
                if framed.header is not None:
                    line += sum(row.count(b"\n") for row in lines)
        except (OSError, EOFError, UnicodeError, zlib.error, lzma.LZMAError) as error:
            raise ActivationError(
                f"{path} cannot be read to its end: {error}; what stands before that may have "
                "been delivered, which does no harm when the mended file is replayed"
            ) from error


def open_file(path: str, stack: ExitStack) -> IO[bytes]:
    """Opens a file, decompressed as its name says; closed with the stack."""
    compression = CompressionTypes.detect_compression_type(path)
    if compression not in _DECOMPRESSORS:
        return stack.enter_context(FileSystems.open(path))
    # Not through Beam, which takes a file that was cut short for one that ends there.
    file = stack.enter_context(
        FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    )
    return stack.enter_context(_DECOMPRESSORS[compression](file))


@dataclass
class ReadFiles(beam.PTransform):
    """Reads files into blocks, each file on one worker and as many at once as there are.

    Attributes:
      paths: as of `expand`.
      bytes_per_block: as of `blocks`, as are `columns`.
    """

    paths: Sequence[str]
    bytes_per_block: int = BYTES_PER_BLOCK
    columns: Columns = ()

    def expand(self, begin: PBegin) -> PCollection[Block]:
        """PBegin to PCollection[Block]."""
        placed = [(path, place * SPACING) for place, path in enumerate(self.paths)]
        return (
            begin
            | "Paths" >> beam.Create(placed)
            | "Spread" >> beam.Reshuffle()
            | "Blocks"
            >> beam.ParDo(ReadFilesDoFn(self.bytes_per_block, self.columns)).with_output_types(
                Block
            )
        )


class ReadFilesDoFn(beam.DoFn):
    """Reads one file; see `ReadFiles`."""

    def __init__(self, bytes_per_block: int, columns: Columns) -> None:
        self._bytes_per_block = bytes_per_block
        self._columns = columns

    def process(self, placed: tuple[str, int]) -> Iterator[Block]:  # noqa: D102
        path, position = placed
        yield from blocks(path, position, self._bytes_per_block, self._columns)
