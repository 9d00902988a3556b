import { TextDecoder } from 'node:util'

const CHARSET = /;\s*charset\s*=\s*["']?([^\s;"']{1,40})/i
const MARKUP = /^(?:text\/html|application\/xhtml\+xml|text\/xml|application\/xml|application\/[^;]*\+xml)?\s*(?:;|$)/i
const JSON_TYPE = /^[^;]*[/+](?:json|x-ndjson|ndjson|jsonl)\s*(?:;|$)/i
/** Where a document has to declare its encoding (the HTML standard). */
const MAX_DECLARATION_BYTES = 1_024
const META = /<meta\b[^>]{0,512}?\bcharset\s*=\s*["']?\s*([^\s"'/>;]{1,40})/i
const XML = /^\s*<\?xml\b[^>]{0,256}?\bencoding\s*=\s*["']([^"']{1,40})["']/i

const MARKS: readonly (readonly [label: string, bytes: readonly number[]])[] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16be', [0xfe, 0xff]],
  ['utf-16le', [0xff, 0xfe]],
]

/**
 * A body as text. Its encoding is that of its byte order mark, otherwise of the `charset` in its content type, otherwise of its own `<meta>`
 * or XML declaration. Without any, it is UTF-8 if it is valid as that, otherwise windows-1252.
 */
export function decodeText(bytes: Uint8Array, contentType: string): string {
  const marked = MARKS.find(([, mark]) => mark.every((byte, index) => bytes[index] === byte))
  const declared = marked?.[0] ?? CHARSET.exec(contentType)?.[1] ?? declaredIn(bytes, contentType)
  const known = declared === undefined ? undefined : decoderOf(declared)
  if (known) return known.decode(bytes)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return new TextDecoder(JSON_TYPE.test(contentType) ? 'utf-8' : 'windows-1252').decode(bytes)
  }
}

function declaredIn(bytes: Uint8Array, contentType: string): string | undefined {
  if (!MARKUP.test(contentType)) return undefined
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, MAX_DECLARATION_BYTES))
  const text = start.toString('latin1')
  const label = (XML.exec(text) ?? META.exec(text))?.[1]
  // A declaration that could be read as ASCII is not in UTF-16.
  return label !== undefined && /^utf-?16/i.test(label) ? 'utf-8' : label
}

function decoderOf(label: string): TextDecoder | undefined {
  try {
    return new TextDecoder(label)
  } catch {
    // The platform does not know this encoding.
    return undefined
  }
}
