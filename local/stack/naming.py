"""What the local stack calls the template's resources."""

import re
from collections.abc import Callable
from typing import Any

from local.account import ACCOUNT_ID
from local.stack.parameters import TemplateError
from local.stack.template import Attributes

REGION = "us-east-1"
STACK_NAME = "screener-local"
PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT_ID,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{STACK_NAME}/local",
    "AWS::StackName": STACK_NAME,
    "AWS::URLSuffix": "amazonaws.com",
}

# Part of the deployment, but without a counterpart on a laptop: permissions, networks,
# alarms and log retention are not emulated, and the layer is the installed package.
NOT_RUN_LOCALLY = re.compile(
    r"AWS::(IAM|Logs|CloudWatch|KMS|EC2|ApplicationAutoScaling|SSM|Budgets)::"
    r"|AWS::(S3::BucketPolicy|SQS::QueuePolicy|SNS::TopicPolicy|Lambda::Permission)$"
    r"|AWS::(Serverless::LayerVersion|CloudFormation::Stack|Serverless::Application)$"
)


def name_resource(logical_id: str, kind: str, get: Callable[[str], Any]) -> Attributes:
    """A resource's physical name, and what `Ref` and `GetAtt` answer for it.

    Raises:
        TemplateError: the local stack does not know the kind.
    """
    readable = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", logical_id).lower()
    default = f"{STACK_NAME}-{readable}"

    def arn(service: str, rest: str) -> str:
        return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{rest}"

    match kind:
        case "AWS::S3::Bucket":
            name = get("BucketName") or default
            return Attributes(
                name, {"Arn": f"arn:aws:s3:::{name}", "DomainName": f"{name}.s3.amazonaws.com"}
            )
        case "AWS::SQS::Queue":
            name = get("QueueName") or default
            url = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/{name}"
            return Attributes(url, {"Arn": arn("sqs", name), "QueueName": name, "QueueUrl": url})
        case "AWS::Events::Rule":
            name = get("Name") or default
            return Attributes(name, {"Arn": arn("events", f"rule/{name}")})
        case "AWS::Events::EventBus":
            name = get("Name") or default
            return Attributes(name, {"Arn": arn("events", f"event-bus/{name}"), "Name": name})
        case "AWS::Serverless::Function":
            name = get("FunctionName") or default
            return Attributes(name, {"Arn": arn("lambda", f"function:{name}")})
        case "AWS::StepFunctions::StateMachine":
            name = get("StateMachineName") or default
            state_machine = arn("states", f"stateMachine:{name}")
            return Attributes(state_machine, {"Arn": state_machine, "Name": name})
        case "AWS::DynamoDB::Table":
            name = get("TableName") or default
            return Attributes(name, {"Arn": arn("dynamodb", f"table/{name}")})
        case "AWS::SNS::Topic":
            name = get("TopicName") or default
            return Attributes(arn("sns", name), {"TopicName": name, "TopicArn": arn("sns", name)})
    if NOT_RUN_LOCALLY.match(kind):
        return Attributes(default, {"Arn": arn("local", default)})
    raise TemplateError(f"{logical_id}: the local stack does not know {kind}")
