"""Ships `pipeline` and `transforms`, here and to Beam's workers."""

from setuptools import find_packages, setup

setup(
    name="outreach-activation",
    version="0.1.0",
    description="Carries audience membership changes into Outreach prospect fields.",
    long_description=open("README.md", encoding="utf-8").read(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.15",
    packages=find_packages(include=["pipeline", "pipeline.*", "transforms", "transforms.*"]),
    package_data={
        "pipeline": ["py.typed"],
        "pipeline.html_report": ["static/*"],
        "pipeline.operator_page": ["static/*"],
        "pipeline.sandbox.ui": ["static/*"],
        "transforms": ["py.typed"],
    },
    install_requires=[
        "apache-beam>=2.77,<2.78",
        "aiohttp>=3.11,<4",
        "click>=8.1,<9",
        "cryptography>=42,<60",
        "google-cloud-pubsub>=2.20,<3",
        "orjson>=3.10,<4",
        "prometheus-client>=0.20,<1",
        "pydantic>=2.9,<3",
        "rich>=13.7,<16",
        "ruamel.yaml>=0.18,<0.20",
    ],
    extras_require={
        "dataflow": ["apache-beam[gcp]>=2.77,<2.78", "google-cloud-secret-manager>=2.20,<3"],
        "yaml": ["apache-beam[yaml]>=2.77,<2.78"],
        "test": [
            "apache-beam[gcp]>=2.77,<2.78",
            "apache-beam[yaml]>=2.77,<2.78",
            "google-cloud-secret-manager>=2.20,<3",
            "axe-core-python>=0.1,<0.2",
            "hypothesis>=6.100,<7",
            "jsonschema>=4.20,<5",
            "mypy>=2.4,<3",
            "pip-audit>=2.7,<3",
            "pytest>=8.2,<10",
            "pytest-xdist>=3.6,<4",
            "pytest-timeout>=2.3,<3",
            "ruff>=0.17.5,<0.18",
        ],
    },
    entry_points={"console_scripts": ["outreach-activation=pipeline.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
    ],
)
