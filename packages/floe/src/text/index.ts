export { answerText } from './answerText.ts';
export { StreamingDetokenizer, type StreamingDetokenizerOptions } from './detokenizer.ts';
export { ChatTemplate, type RenderOptions, tokenizeChat } from './template.ts';
export type { Json, TemplateMessage, TemplateToolCall } from './templateMessages.ts';
export { createTokenizer, type Segment, type Tokenizer } from './tokenizer.ts';
export { endIds, TokenType, type Vocabulary } from './vocabulary.ts';
export { type MetadataReader, vocabularyFromMetadata } from './vocabularyFromMetadata.ts';
