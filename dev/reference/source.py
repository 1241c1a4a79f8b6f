"""What the source code of a module says: classes with their fields and comments, functions with their signatures.

It is read, not imported: signatures and defaults stand on the page as they were written, whatever the versions of
Python and of libraries are.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
LINE_LENGTH: Final = 100  # of a signature; a longer one has a line for each parameter


@dataclass(frozen=True)
class Field:
    """A field of a class: its type and default as written, and the comment behind it."""

    name: str
    type: str
    default: str  # "" where there is none
    comment: str


@dataclass(frozen=True)
class Function:
    """A function or method: its signature as written, and its docstring."""

    name: str
    signature: str
    doc: str
    is_property: bool


@dataclass(frozen=True)
class Class:
    """A class: how it is called, its docstring, its fields, and its public methods in the order of the source."""

    name: str
    bases: tuple[str, ...]
    keywords: dict[str, str]  # in its first line, as written: frozen -> True
    signature: str  # "" where it is not to be called: a protocol, or what its source gives no parameters
    doc: str
    fields: tuple[Field, ...]
    methods: tuple[Function, ...]


@dataclass(frozen=True)
class Module:
    """A module: its docstring and what it defines, in order, with the ruler that each definition stands under."""

    doc: str
    classes: dict[str, Class]
    functions: dict[str, Function]
    sections: dict[str, str]  # class -> title of the ruler above it, "" for none


@cache
def read_module(name: str) -> Module:
    """The definitions of a module or package of the repository, such as `pipeline.schema.manifests`."""
    path = ROOT / name.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    comments = comments_by_line(text)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return Module(
        doc=ast.get_docstring(tree) or "",
        classes={node.name: _class_of(node, comments) for node in classes},
        functions={node.name: _function_of(node) for node in functions},
        sections={node.name: _section_of(node.lineno, comments) for node in classes},
    )


def comments_by_line(text: str) -> dict[int, str]:
    """The comment of each line that has one, by number from 1, without its mark."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def _section_of(line: int, comments: dict[int, str]) -> str:
    rulers = [number for number, comment in comments.items() if number < line and comment.startswith("---")]
    return comments[max(rulers)].strip("- ") if rulers else ""


def _class_of(node: ast.ClassDef, comments: dict[int, str]) -> Class:
    fields = tuple(_fields_of(node, comments))
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    public = [method for method in methods if not method.name.startswith("_")]
    made_by = next((method for method in methods if method.name == "__init__"), None)
    parameters = _parameters(made_by, drop_first=True) if made_by else [_as_parameter(field) for field in fields]
    is_protocol = any(ast.unparse(base) == "Protocol" for base in node.bases)
    return Class(
        name=node.name,
        bases=tuple(ast.unparse(base) for base in node.bases),
        keywords={keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg},
        signature=_signature(node.name, parameters, "") if parameters and not is_protocol else "",
        doc=ast.get_docstring(node) or "",
        fields=fields,
        methods=tuple(_function_of(method, in_class=True) for method in public),
    )


def _fields_of(node: ast.ClassDef, comments: dict[int, str]) -> Iterator[Field]:
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            default = ast.unparse(part.value) if part.value else ""
            comment = comments.get(part.end_lineno or part.lineno, "")
            yield Field(part.target.id, _type(part.annotation), default, comment)


def _as_parameter(field: Field) -> str:
    return f"{field.name}: {field.type}" + (f" = {field.default}" if field.default else "")


def _function_of(node: ast.FunctionDef, in_class: bool = False) -> Function:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    is_static = "staticmethod" in decorators
    returns = f" -> {_type(node.returns)}" if node.returns else ""
    parameters = _parameters(node, drop_first=in_class and not is_static)
    return Function(
        name=node.name,
        signature=_signature(node.name, parameters, returns),
        doc=ast.get_docstring(node) or "",
        is_property=any(name in ("property", "cached_property") for name in decorators),
    )


def _parameters(node: ast.FunctionDef, drop_first: bool) -> list[str]:
    """Each parameter as written, with the star that begins those that are given by name."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults = [*missing, *arguments.defaults]
    written = [_parameter(argument, default) for argument, default in zip(positional, defaults, strict=True)]
    if arguments.vararg:
        written.append(f"*{_parameter(arguments.vararg, None)}")
    elif arguments.kwonlyargs:
        written.append("*")
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    written += [_parameter(argument, default) for argument, default in named]
    if arguments.kwarg:
        written.append(f"**{_parameter(arguments.kwarg, None)}")
    return written[1:] if drop_first else written


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    kind = f": {_type(argument.annotation)}" if argument.annotation else ""
    if default is None:
        return argument.arg + kind
    equals = " = " if kind else "="
    return f"{argument.arg}{kind}{equals}{ast.unparse(default)}"


def _type(annotation: ast.expr) -> str:
    """A type as written, without the quotation marks around one that is defined later."""
    is_quoted = isinstance(annotation, ast.Constant) and isinstance(annotation.value, str)
    return str(annotation.value) if is_quoted else ast.unparse(annotation)  # type: ignore[attr-defined]


def _signature(name: str, parameters: list[str], returns: str) -> str:
    line = f"{name}({', '.join(parameters)}){returns}"
    if len(line) <= LINE_LENGTH:
        return line
    return f"{name}(\n" + "".join(f"    {parameter},\n" for parameter in parameters) + f"){returns}"
