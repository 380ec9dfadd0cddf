/**
 * Chat templates of the model families, with what each writes for a conversation: by hand, from what the models' cards
 * say. The templates are shortened to what the conversation touches; Qwen 3's is read whole from a package.
 */

import { qwen3ChatTemplate } from '@floe/testkit/realVocabularies';
import type { Json, TemplateMessage } from './templateMessages.ts';

export interface TemplateFamily {
  readonly name: string;
  readonly template: string;
  readonly bos: string;
  readonly eos: string;
  /** Other texts that are control tokens. */
  readonly specials: readonly string[];
  readonly messages: readonly TemplateMessage[];
  readonly tools?: readonly Json[];
  readonly expected: string;
}

const system: TemplateMessage = { role: 'system', content: 'Be brief.' };
const hi: TemplateMessage = { role: 'user', content: 'Hi "you" ' };
const hello: TemplateMessage = { role: 'assistant', content: 'Hello!' };
const ask: TemplateMessage = { role: 'user', content: 'Weather in Paris?' };
const plain = [hi, hello, ask];
const withSystem = [system, ...plain];

const call: TemplateMessage = {
  role: 'assistant',
  content: null,
  reasoning_content: 'I should look.',
  tool_calls: [
    { id: 'call00001', type: 'function', function: { name: 'weather', arguments: '{"city": "Paris", "n": 2}' } },
  ],
};
const answer: TemplateMessage = { role: 'tool', tool_call_id: 'call00001', name: 'weather', content: '{"t": 21}' };
const withCall = [system, ask, call, answer];
const tool = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'The weather of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};
const small = { type: 'function', function: { name: 'f' } };
const TOOL =
  '{"type": "function", "function": {"name": "weather", "description": "The weather of a city.", "parameters": ' +
  '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}';

const chatml = (fallback = '') =>
  `${fallback}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}` +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

export const templateFamilies: readonly TemplateFamily[] = [
  {
    name: 'arctic',
    template: chatml(),
    ...{ bos: '<|im_start|>', eos: '<|im_end|>', specials: [], messages: withSystem },
    expected:
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi "you" <|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n' +
      '<|im_start|>user\nWeather in Paris?<|im_end|>\n<|im_start|>assistant\n',
  },
  {
    // A system message of its own where there is none.
    name: 'dbrx',
    template:
      "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}" +
      "{% else %}{% set loop_messages = messages %}{% set system_message = 'You are DBRX.' %}{% endif %}" +
      "{% for message in loop_messages %}{% if loop.index0 == 0 %}{{ '<|im_start|>system\n' + system_message + '<|im_end|>\n' }}" +
      "{% else %}{{ '\n' }}{% endif %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' }}" +
      "{% if loop.last and add_generation_prompt %}{{ '\n<|im_start|>assistant\n' }}{% endif %}{% endfor %}",
    ...{ bos: '<|endoftext|>', eos: '<|endoftext|>', specials: ['<|im_start|>', '<|im_end|>'], messages: plain },
    expected:
      '<|im_start|>system\nYou are DBRX.<|im_end|>\n<|im_start|>user\nHi "you" <|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n' +
      '<|im_start|>user\nWeather in Paris?<|im_end|>\n<|im_start|>assistant\n',
  },
  {
    name: 'llama2',
    template:
      "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}" +
      '{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}' +
      "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}" +
      "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}" +
      "{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}" +
      "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}" +
      "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    ...{ bos: '<s>', eos: '</s>', specials: [], messages: withSystem },
    expected:
      '<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi "you" [/INST] Hello! </s><s>[INST] Weather in Paris? [/INST]',
  },
  {
    name: 'mixtral',
    template:
      "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}" +
      "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}" +
      "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}" +
      "{{ message['content'] + eos_token}}{% endif %}{% endfor %}",
    ...{ bos: '<s>', eos: '</s>', specials: [], messages: plain },
    expected: '<s>[INST] Hi "you"  [/INST]Hello!</s>[INST] Weather in Paris? [/INST]',
  },
  {
    // Version 3: tools, and calls with ids of nine characters.
    name: 'mistral',
    template:
      "{%- set loop_messages = messages[1:] if messages[0]['role'] == 'system' else messages %}{{- bos_token }}" +
      '{%- for message in loop_messages %}{%- if message.role == "user" %}{%- if tools is not none %}' +
      '{{- "[AVAILABLE_TOOLS] [" }}{%- for tool in tools %}{{- tool | tojson }}{%- if not loop.last %}{{- ", " }}{%- endif %}' +
      '{%- endfor %}{{- "][/AVAILABLE_TOOLS]" }}{%- endif %}{{- "[INST] " + messages[0].content + "\\n\\n" + message.content + "[/INST]" }}' +
      '{%- elif message.tool_calls is defined %}{{- "[TOOL_CALLS] [" }}{%- for tool_call in message.tool_calls %}' +
      '{%- set out = tool_call.function | tojson %}{{- out[:-1] }}{%- if tool_call.id|length != 9 %}' +
      '{{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}{%- endif %}' +
      '{{- \', "id": "\' + tool_call.id + \'"}\' }}{%- endfor %}{{- "]" + eos_token }}{%- elif message.role == "tool" %}' +
      '{{- \'[TOOL_RESULTS] {"content": \' + message.content|string + ", " }}{{- \'"call_id": "\' + message.tool_call_id + \'"}[/TOOL_RESULTS]\' }}' +
      '{%- endif %}{%- endfor %}',
    ...{ bos: '<s>', eos: '</s>', messages: withCall, tools: [tool] },
    specials: [
      '[INST]',
      '[/INST]',
      '[TOOL_CALLS]',
      '[AVAILABLE_TOOLS]',
      '[/AVAILABLE_TOOLS]',
      '[TOOL_RESULTS]',
      '[/TOOL_RESULTS]',
    ],
    expected:
      `<s>[AVAILABLE_TOOLS] [${TOOL}][/AVAILABLE_TOOLS][INST] Be brief.\n\nWeather in Paris?[/INST]` +
      '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Paris", "n": 2}, "id": "call00001"}]</s>' +
      '[TOOL_RESULTS] {"content": {"t": 21}, "call_id": "call00001"}[/TOOL_RESULTS]',
  },
  {
    name: 'llama3',
    template:
      '{{- bos_token }}{%- if messages[0].role == "system" %}{%- set system_message = messages[0].content|trim %}{%- set messages = messages[1:] %}' +
      '{%- else %}{%- set system_message = "" %}{%- endif %}{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}' +
      '{%- if tools is not none %}{{- "Environment: ipython\\n" }}{%- endif %}{{- "Today Date: " + strftime_now("%d %b %Y") + "\\n\\n" }}' +
      '{%- if tools is not none %}{%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\\n\\n" }}{%- endfor %}{%- endif %}' +
      '{{- system_message }}{{- "<|eot_id|>" }}{%- for message in messages %}' +
      '{%- if not (message.role == "ipython" or message.role == "tool" or "tool_calls" in message) %}' +
      '{{- "<|start_header_id|>" + message.role + "<|end_header_id|>\\n\\n" + message.content | trim + "<|eot_id|>" }}' +
      '{%- elif "tool_calls" in message %}{%- set tool_call = message.tool_calls[0].function %}' +
      '{{- "<|start_header_id|>assistant<|end_header_id|>\\n\\n" }}{{- \'{"name": "\' + tool_call.name + \'", "parameters": \' }}' +
      '{{- tool_call.arguments | tojson }}{{- "}<|eot_id|>" }}{%- else %}' +
      '{{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}{{- message.content }}{{- "<|eot_id|>" }}{%- endif %}{%- endfor %}' +
      '{%- if add_generation_prompt %}{{- "<|start_header_id|>assistant<|end_header_id|>\\n\\n" }}{%- endif %}',
    ...{ bos: '<|begin_of_text|>', eos: '<|eot_id|>', specials: ['<|start_header_id|>', '<|end_header_id|>'] },
    ...{ messages: withCall, tools: [small] },
    expected:
      '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nEnvironment: ipython\nToday Date: 05 Nov 2026\n\n' +
      '{\n    "type": "function",\n    "function": {\n        "name": "f"\n    }\n}\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWeather in Paris?<|eot_id|>' +
      '<|start_header_id|>assistant<|end_header_id|>\n\n{"name": "weather", "parameters": {"city": "Paris", "n": 2}}<|eot_id|>' +
      '<|start_header_id|>ipython<|end_header_id|>\n\n{"t": 21}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
  },
  {
    name: 'qwen2',
    template: chatml(
      "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}",
    ),
    ...{ bos: '<|endoftext|>', eos: '<|im_end|>', specials: ['<|im_start|>'], messages: [hi] },
    expected:
      '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi "you" <|im_end|>\n<|im_start|>assistant\n',
  },
  {
    name: 'qwen3',
    template: qwen3ChatTemplate(),
    ...{
      bos: '<|endoftext|>',
      eos: '<|im_end|>',
      specials: ['<|im_start|>'],
      messages: [...withCall.slice(0, 2), { ...call, content: '' }, answer],
    },
    tools: [tool],
    expected:
      '<|im_start|>system\nBe brief.\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n' +
      `You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n${TOOL}\n</tools>\n\n` +
      'For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n' +
      '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call><|im_end|>\n' +
      '<|im_start|>user\nWeather in Paris?<|im_end|>\n<|im_start|>assistant\n<think>\nI should look.\n</think>\n\n' +
      '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris", "n": 2}}\n</tool_call><|im_end|>\n' +
      '<|im_start|>user\n<tool_response>\n{"t": 21}\n</tool_response><|im_end|>\n<|im_start|>assistant\n',
  },
  {
    name: 'olmoe',
    template:
      "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\n' + message['content'] + '\n' }}" +
      "{% elif message['role'] == 'user' %}{{ '<|user|>\n' + message['content'] + '\n' }}{% elif message['role'] == 'assistant' %}" +
      "{% if not loop.last %}{{ '<|assistant|>\n'  + message['content'] + eos_token + '\n' }}{% else %}" +
      "{{ '<|assistant|>\n'  + message['content'] + eos_token }}{% endif %}{% endif %}" +
      "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}{% endfor %}",
    ...{ bos: '|||IP_ADDRESS|||', eos: '<|endoftext|>', specials: [], messages: withSystem },
    expected:
      '|||IP_ADDRESS|||<|system|>\nBe brief.\n<|user|>\nHi "you" \n<|assistant|>\nHello!<|endoftext|>\n<|user|>\nWeather in Paris?\n<|assistant|>\n',
  },
  {
    name: 'granite',
    template:
      '{%- if tools %}{{- "<|start_of_role|>tools<|end_of_role|>" }}{%- for tool in tools %}{{- tool | tojson(indent=4) }}' +
      '{%- if not loop.last %}{{- "\\n\\n" }}{%- endif %}{%- endfor %}{{- "<|end_of_text|>\\n" }}{%- endif %}{%- for message in messages %}' +
      "{%- if message['role'] == 'system' %}{{- '<|start_of_role|>system<|end_of_role|>' + message['content'] + '<|end_of_text|>\n' }}" +
      "{%- elif message['role'] == 'user' %}{{- '<|start_of_role|>user<|end_of_role|>' + message['content'] + '<|end_of_text|>\n' }}" +
      "{%- elif message['role'] == 'assistant' %}{{- '<|start_of_role|>assistant<|end_of_role|>' + message['content'] + '<|end_of_text|>\n' }}" +
      "{%- elif message['role'] == 'tool' %}{{- '<|start_of_role|>tool_response<|end_of_role|>' + message['content'] + '<|end_of_text|>\n' }}{%- endif %}" +
      "{%- if loop.last and add_generation_prompt %}{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}{%- endfor %}",
    ...{ bos: '<|end_of_text|>', eos: '<|end_of_text|>', specials: ['<|start_of_role|>', '<|end_of_role|>'] },
    ...{
      messages: [system, ask, { role: 'assistant', content: '<|tool_call|>x' }, answer],
      tools: [small],
    },
    expected:
      '<|start_of_role|>tools<|end_of_role|>{\n    "type": "function",\n    "function": {\n        "name": "f"\n    }\n}<|end_of_text|>\n<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n' +
      '<|start_of_role|>user<|end_of_role|>Weather in Paris?<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|><|tool_call|>x<|end_of_text|>\n' +
      '<|start_of_role|>tool_response<|end_of_role|>{"t": 21}<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>',
  },
  {
    // Harmony: channels, tools as TypeScript in a developer message. Shortened; its macros write types.
    name: 'gpt-oss',
    template:
      '{%- macro render_tool(tool) %}{{- "// " + tool.description + "\\ntype " + tool.name + " = (_: {\\n" }}' +
      '{%- for name, spec in tool.parameters.properties.items() %}{{- name + (": " if name in tool.parameters.required else "?: ") + spec.type + ",\\n" }}' +
      '{%- endfor %}{{- "}) => any;\\n\\n" }}{%- endmacro %}' +
      '{{- "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\\nKnowledge cutoff: 2024-06\\nCurrent date: " }}' +
      '{{- strftime_now("%Y-%m-%d") + "\\n\\nReasoning: " + reasoning_effort|default("medium") + "<|end|>" }}' +
      '{{- "<|start|>developer<|message|># Instructions\\n\\n" + messages[0].content + "\\n\\n# Tools\\n\\n## functions\\n\\nnamespace functions {\\n\\n" }}' +
      '{%- for tool in tools %}{{- render_tool(tool.function) }}{%- endfor %}{{- "} // namespace functions<|end|>" }}' +
      '{%- set last = namespace(name=none) %}{%- for message in messages[1:] -%}{%- if message.role == "assistant" -%}' +
      '{%- if "tool_calls" in message %}{%- if message.reasoning_content %}{{- "<|start|>assistant<|channel|>analysis<|message|>" + message.reasoning_content + "<|end|>" }}{%- endif %}' +
      '{%- set tool_call = message.tool_calls[0].function %}{{- "<|start|>assistant to=functions." + tool_call.name + "<|channel|>commentary json<|message|>" }}' +
      '{{- tool_call.arguments|tojson }}{{- "<|call|>" }}{%- set last.name = tool_call.name %}{%- endif %}' +
      '{%- elif message.role == "tool" -%}{{- "<|start|>functions." + last.name + " to=assistant<|channel|>commentary<|message|>" + message.content|tojson + "<|end|>" }}' +
      '{%- elif message.role == "user" -%}{{- "<|start|>user<|message|>" + message.content + "<|end|>" }}{%- endif -%}{%- endfor -%}' +
      '{%- if add_generation_prompt -%}<|start|>assistant{%- endif -%}',
    ...{
      bos: '<|startoftext|>',
      eos: '<|return|>',
      specials: ['<|start|>', '<|message|>', '<|end|>', '<|channel|>', '<|call|>'],
    },
    ...{ messages: withCall, tools: [tool] },
    expected:
      '<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\nCurrent date: 2026-11-05\n\n' +
      'Reasoning: medium<|end|><|start|>developer<|message|># Instructions\n\nBe brief.\n\n# Tools\n\n## functions\n\nnamespace functions {\n\n' +
      '// The weather of a city.\ntype weather = (_: {\ncity: string,\n}) => any;\n\n} // namespace functions<|end|>' +
      '<|start|>user<|message|>Weather in Paris?<|end|><|start|>assistant<|channel|>analysis<|message|>I should look.<|end|>' +
      '<|start|>assistant to=functions.weather<|channel|>commentary json<|message|>{"city": "Paris", "n": 2}<|call|>' +
      '<|start|>functions.weather to=assistant<|channel|>commentary<|message|>"{\\"t\\": 21}"<|end|><|start|>assistant',
  },
  {
    // Adds arguments to a string: it wants them as one.
    name: 'deepseek',
    template:
      "{% set ns = namespace(system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}" +
      "{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system_prompt }}" +
      "{%- for message in messages %}{%- if message['role'] == 'user' %}{{'<｜User｜>' + message['content']}}{%- endif %}" +
      "{%- if message['role'] == 'assistant' and message['content'] is none %}{%- for tool in message['tool_calls']%}" +
      "{{'<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + tool['function']['name'] + '\n```json\n' " +
      "+ tool['function']['arguments'] + '\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>' + eos_token}}{%- endfor %}{%- endif %}" +
      "{%- if message['role'] == 'tool' %}{{'<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>' + message['content'] + '<｜tool▁output▁end｜><｜tool▁outputs▁end｜>'}}{%- endif %}" +
      "{%- endfor -%}{% if add_generation_prompt and messages[-1]['role'] != 'tool' %}{{'<｜Assistant｜>'}}{% endif %}",
    ...{ bos: '<｜begin▁of▁sentence｜>', eos: '<｜end▁of▁sentence｜>', messages: withCall },
    specials: [
      'User',
      'Assistant',
      'tool▁calls▁begin',
      'tool▁call▁begin',
      'tool▁sep',
      'tool▁call▁end',
      'tool▁calls▁end',
    ]
      .concat('tool▁outputs▁begin', 'tool▁output▁begin', 'tool▁output▁end', 'tool▁outputs▁end')
      .map((name) => `<｜${name}｜>`),
    expected:
      '<｜begin▁of▁sentence｜>Be brief.<｜User｜>Weather in Paris?<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n' +
      '```json\n{"city": "Paris", "n": 2}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>' +
      '<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>{"t": 21}<｜tool▁output▁end｜><｜tool▁outputs▁end｜>',
  },
  {
    // The system message is the beginning of the user's; the assistant is the model.
    name: 'gemma',
    template:
      "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}" +
      '{%- set loop_messages = messages[1:] -%}{%- else -%}{%- set first_user_prefix = "" -%}{%- set loop_messages = messages -%}{%- endif -%}' +
      "{%- for message in loop_messages -%}{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}" +
      "{{ raise_exception(\"Conversation roles must alternate\") }}{%- endif -%}{%- if (message['role'] == 'assistant') -%}" +
      '{%- set role = "model" -%}{%- else -%}{%- set role = message[\'role\'] -%}{%- endif -%}' +
      "{{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else \"\") }}{%- if message['content'] is string -%}" +
      "{{ message['content'] | trim }}{%- endif -%}{{ '<end_of_turn>\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{'<start_of_turn>model\n'}}{%- endif -%}",
    ...{ bos: '<bos>', eos: '<end_of_turn>', specials: ['<start_of_turn>'], messages: withSystem },
    expected:
      '<bos><start_of_turn>user\nBe brief.\n\nHi "you"<end_of_turn>\n<start_of_turn>model\nHello!<end_of_turn>\n' +
      '<start_of_turn>user\nWeather in Paris?<end_of_turn>\n<start_of_turn>model\n',
  },
  {
    name: 'phi3',
    template:
      "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}" +
      "{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}" +
      "{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    ...{
      bos: '<s>',
      eos: '<|endoftext|>',
      specials: ['<|system|>', '<|user|>', '<|assistant|>', '<|end|>'],
      messages: withSystem,
    },
    expected:
      '<|system|>\nBe brief.<|end|>\n<|user|>\nHi "you" <|end|>\n<|assistant|>\nHello!<|end|>\n<|user|>\nWeather in Paris?<|end|>\n<|assistant|>\n',
  },
];
