/** The text that replaces a secret. */
export const HIDDEN = '[redacted]'

const SECRET_NAME =
  /(?:password|passwd|pwd|passphrase|secret|token|dsn|authorization|cookies?|credentials?|apikey|privatekey|accesskey|secretkey|signingkey|encryptionkey)$/

/** Whether the value of this key is a secret: `password`, `clientSecret`, `X_API_KEY`, `set-cookie`. Not `tokens`, `monkey`, `author`. */
export function isSecretKey(key: string): boolean {
  return SECRET_NAME.test(
    key
      .slice(-64)
      .replace(/[^a-z0-9]/gi, '')
      .toLowerCase(),
  )
}

// Quantifiers are bounded and the scheme is not matched, so that a long line without spaces does not take quadratic time. `host:3306/path`
// is not a credential, so a port that ends the authority is kept. So is `user:password@host`, the placeholder of help texts.
const URL_PASSWORD = /(:\/\/[^\s/:@"]{0,128}:)(?!\d{1,5}(?:[/?#]|$)|password@[^\s"@]{0,256}(?:[\s"]|$))[^\s"]{1,256}@/g
const PEM = /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g
const AWS_KEY = /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g
const SCHEME =
  /\b(Bearer|Basic)(\s{1,4})(?!(?:token|auth|scheme|realm|authentication|authorization)s?\b)[\w.~+/=-]{4,}/gi
const QUERY_SECRET =
  /([?&;](?:key|sig|signature|x-amz-(?:signature|credential|security-token)|code|auth)=)[^&\s"'#\\]{1,4096}/gi
const KEY =
  /(?:password|passwd|(?<![a-z])pwd|(?<=[a-z])Pwd|passphrase|secret|token|(?<![a-z])sig|api[-_ ]?key|private[-_ ]?key|access[-_ ]?key|account[-_ ]?key|secret[-_ ]?key|signing[-_ ]?key|encryption[-_ ]?key|authorization|cookies?|credentials?)(\\{0,15}["'`]|)[ \t]{0,4}(?:=>|[:=])[ \t]{0,4}/gi
const DSN_KEY = /dsn(?:\\{0,15}["'`]\s{0,4}:\s{0,4}|=)/gi
/** Keys whose value extends to the end of the line, because it may contain spaces and punctuation. */
const WHOLE_LINE = /^(?:authorization|cookie)/i

/**
 * Hides secrets in a text: passwords of connection strings (`mysql://user:secret@host`), values of secret keys in any notation
 * (`password=…`, `api-key: …`, `{"token":"…"}`, also in JSON within JSON), HTTP credentials and private keys. Works on plain text and on a
 * line of JSON, in time proportional to its length.
 */
export function redactText(text: string): string {
  const plain = text
    .replace(PEM, HIDDEN)
    .replace(URL_PASSWORD, `$1${HIDDEN}@`)
    .replace(AWS_KEY, HIDDEN)
    .replace(QUERY_SECRET, `$1${HIDDEN}`)
  return hideValues(hideValues(plain, KEY), DSN_KEY).replace(SCHEME, `$1$2${HIDDEN}`)
}

function hideValues(text: string, key: RegExp): string {
  let shown = ''
  let from = 0
  for (const match of text.matchAll(key)) {
    if (match.index < from) continue
    const start = match.index + match[0].length
    const [open, end] = valueOf(text, start, WHOLE_LINE.test(match[0]))
    if (end === open || text.startsWith(HIDDEN, open)) continue
    if (open === start && isProse(text, match, text.slice(open, end))) continue
    // JSON must stay valid, so the text that replaces an unquoted number gets the quotes of its key.
    const quotes = open === start ? (match[1] ?? '') : ''
    shown += text.slice(from, open) + quotes + HIDDEN + quotes
    from = end
  }
  return from === 0 ? text : shown + text.slice(from)
}

const PROSE_KEY = /^(token|password)[ \t]{0,4}:[ \t]/i
/** A plain word or sign that a parser reports after `unexpected token:`. */
const PROSE_TOKEN = /^(?:[a-z]{1,12}|[A-Z]{1,12}|[A-Z][a-z]{1,11}|[^\w\s]{1,3})$/

/**
 * Whether the value is ordinary text: `unexpected token: SELECT`, or a server's text about a refused login, `(using password: YES)`. A
 * password may be a plain word.
 */
function isProse(text: string, match: RegExpExecArray, value: string): boolean {
  const key = PROSE_KEY.exec(match[0])?.[1]?.toLowerCase()
  // In a longer name, such as access_token, the value is a secret.
  if (key === undefined || /[\w-]/.test(text.charAt(match.index - 1))) return false
  return key === 'token' ? PROSE_TOKEN.test(value) : value === 'YES' || value === 'NO'
}

const OPENING = /(\\*)(["'`])/y
const WORD = /[^\s&"'`,;)}\]\\]*/y
const LINE = /[^\r\n"'`\\]*/y
const LITERAL = /(?:null|undefined|true|false|\{|\[)(?![\w])/y

/** The positions where the value begins and ends, without its quotes. */
function valueOf(text: string, start: number, isWholeLine: boolean): [number, number] {
  const opening = at(OPENING, text, start)
  if (!opening) {
    if (at(LITERAL, text, start)) return [start, start]
    return [start, start + (at(isWholeLine ? LINE : WORD, text, start)?.[0].length ?? 0)]
  }
  const [whole, slashes = '', quote = '"'] = opening
  const open = start + whole.length
  return [open, closing(text, open, quote, slashes.length)]
}

/** Finds the closing quote. In JSON within JSON, the quotes of each level have their own number of backslashes. */
function closing(text: string, open: number, quote: string, slashes: number): number {
  for (let index = text.indexOf(quote, open); index >= 0; index = text.indexOf(quote, index + 1)) {
    let count = 0
    while (index - count > open && text[index - count - 1] === '\\') count += 1
    if (count % (2 * (slashes + 1)) === slashes) return index - slashes
  }
  return text.length
}

function at(pattern: RegExp, text: string, index: number): RegExpExecArray | null {
  pattern.lastIndex = index
  return pattern.exec(text)
}
