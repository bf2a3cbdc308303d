"""The example loads, and the schema beside it says what an editor should underline."""

import json

from jsonschema import Draft202012Validator

from pipeline.destination.file import destination_schema, load_destination
from pipeline.destination.yaml_reader import read_yaml
from tests.pipeline.destination.writing import EXAMPLES, SMALLEST
from transforms.outreach.fields import ACCOUNT_FIELDS, PROSPECT_FIELDS


def test_the_example_loads_and_shows_each_kind_of_mapping() -> None:
    destination = load_destination(str(EXAMPLES / "destination.yaml"))
    assert [audience.field for audience in destination.audiences] == [
        "custom4",
        "custom5",
        "custom17",
        "custom42",
    ]
    assert len(destination.attributes) == 3
    assert destination.outreach.base_url == "https://api.outreach.io"
    assert destination.audiences[3].values.exited is None
    assert destination.secrets({"OUTREACH_TOKEN": "t"})["ops"].get_secret_value() == "t"


def test_the_schema_accepts_what_loads_and_refuses_what_an_editor_should_underline() -> None:
    schema = destination_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    example = (EXAMPLES / "destination.yaml").read_text(encoding="utf-8")
    assert list(validator.iter_errors(read_yaml(example).data)) == []
    assert list(validator.iter_errors(read_yaml(SMALLEST).data)) == []
    for old, new in [
        ("mapping_id: 4", "mapping_id: 151"),
        ("mapping_id: 4", "mapping_ids: 4"),
        ("mapping_id: 4", "mapping_id: 4, values: {realized: true}"),
        ("mapping_id: 4", "mapping_id: 4, values: {realised: In}"),
        ("type: bearer", "type: baerer"),
        ("name: ops", "name: ''"),
        ("name: Enterprise audiences", "title: Enterprise audiences"),
        ("audiences:", "attributes: [{source: a, target: updatedAt}]\naudiences:"),
        ("audiences:", "attributes: [{source: a, target: emails}]\naudiences:"),
        ("audiences:", "delivery: {hold_seconds: -1}\naudiences:"),
    ]:
        data = read_yaml(SMALLEST.replace(old, new)).data
        assert list(validator.iter_errors(data)), new


def test_each_key_of_the_schema_has_a_title_a_description_and_an_example_that_it_accepts() -> None:
    schema = destination_schema()
    for section in (schema, *schema["$defs"].values()):
        assert section["additionalProperties"] is False
        assert section["description"].endswith(".")
        for key, its in section["properties"].items():
            assert its["title"], key
            assert its["description"].endswith("."), key
            validator = Draft202012Validator({**its, "$defs": schema["$defs"]})
            for example in its["examples"]:
                assert list(validator.iter_errors(example)) == [], key


def test_the_schema_offers_every_field_that_an_attribute_may_be_written_to() -> None:
    offered = destination_schema()["$defs"]["Attribute"]["properties"]["target"]["enum"]
    fields = [*PROSPECT_FIELDS.items(), *ACCOUNT_FIELDS.items()]
    writable = {name for name, field in fields if field.writable}
    assert set(offered) == (writable - {"emails"}) | {"account_domain"}


def test_the_schema_beside_the_example_is_the_current_one() -> None:
    written = (EXAMPLES / "destination.schema.json").read_text(encoding="utf-8")
    assert json.loads(written) == destination_schema()
