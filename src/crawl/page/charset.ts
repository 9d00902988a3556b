import { TextDecoder } from 'node:util'

const CHARSET = /;\s*charset\s*=\s*["']?([^\s;"']{1,40})/i
const MARKUP = /^(?:text\/html|application\/xhtml\+xml|text\/xml|application\/xml|application\/[^;]*\+xml)?\s*(?:;|$)/i
const JSON_TYPE = /^[^;]*[/+](?:json|x-ndjson|ndjson|jsonl)\s*(?:;|$)/i
/** According to the HTML standard, a document must declare its encoding within its first 1,024 bytes. */
const MAX_DECLARATION_BYTES = 1_024
const META = /<meta\b[^>]{0,512}?\bcharset\s*=\s*["']?\s*([^\s"'/>;]{1,40})/i
const XML = /^\s*<\?xml\b[^>]{0,256}?\bencoding\s*=\s*["']([^"']{1,40})["']/i

const MARKS: readonly (readonly [label: string, bytes: readonly number[]])[] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16be', [0xfe, 0xff]],
  ['utf-16le', [0xff, 0xfe]],
]

/**
 * Decodes a body. The encoding is taken from the byte order mark, otherwise from the `charset` of the content type, otherwise from the
 * `<meta>` or XML declaration. Without any of these, JSON and valid UTF-8 are read as UTF-8, and everything else as windows-1252.
 */
export function decodeText(bytes: Uint8Array, contentType: string): string {
  const marked = MARKS.find(([, mark]) => mark.every((byte, index) => bytes[index] === byte))
  const known =
    decoderOf(marked?.[0]) ?? decoderOf(CHARSET.exec(contentType)?.[1]) ?? decoderOf(declaredIn(bytes, contentType))
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
  // The declaration could be read as ASCII, so the document can't be UTF-16, whatever it declares. The HTML standard requires UTF-8 in this
  // case.
  return label !== undefined && /^utf-?16/i.test(label) ? 'utf-8' : label
}

/** The decoders of common encodings, by label. They can be reused, because they keep no state between two bodies. */
const decoders = new Map<string, TextDecoder>()
const KEPT = /^(?:utf-?8|windows-1252|iso-8859-1|us-ascii)$/

function decoderOf(label: string | undefined): TextDecoder | undefined {
  if (label === undefined) return undefined
  const known = decoders.get(label)
  if (known) return known
  try {
    const decoder = new TextDecoder(label)
    if (KEPT.test(label)) decoders.set(label, decoder)
    return decoder
  } catch {
    // Node does not know this encoding.
    return undefined
  }
}
