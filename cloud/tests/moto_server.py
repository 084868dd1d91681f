"""moto as a server that prints its address, and ends when its standard input does.

Two faults of moto 5.2.5 are mended, so that a stack is made, changed and deleted by change sets as CloudFormation does it: a stack that a
change set makes has no outputs, and a role alias or policy whose name the template computes (Fn::Sub) is not deleted with its stack."""

import sys

from moto.cloudformation.models import ChangeSet
from moto.iot.models import FakePolicy, FakeRoleAlias, iot_backends
from moto.server import ThreadedMotoServer

apply = ChangeSet.apply


def apply_and_note_outputs(self):
    apply(self)
    stack = self.stack
    stack.template, stack.template_dict, stack.parameters = self.template, self.template_dict, self.parameters
    stack.output_map = stack._create_output_map()


ChangeSet.apply = apply_and_note_outputs
FakeRoleAlias.delete = lambda self, account, region: iot_backends[account][region].delete_role_alias(role_alias_name=self.role_alias)
FakePolicy.delete = lambda self, account, region: iot_backends[account][region].delete_policy(policy_name=self.name)

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
