import { announcesSecret, isDoubtfulKey, isHarmlessWord, isSecretFlag, isSecretKey } from './secret-names.ts'

/** The text that replaces a secret. */
export const HIDDEN = '[redacted]'

// Matches a password in a URL. Quantifiers are bounded and the scheme is not matched, because otherwise a long line without spaces would
// take quadratic time. `host:3306/path` is not a password, so a port at the end of the authority is kept. So is `user:password@host`, the
// placeholder in help texts.
const URL_PASSWORD = /(:\/\/[^\s/:@"]{0,128}:)(?!\d{1,5}(?:[/?#]|$)|password@[^\s"@]{0,256}(?:[\s"]|$))[^\s"]{1,256}@/g
/** Matches a token in place of the user and the password of a web URL. In other URLs, a single name is a user name. */
const URL_TOKEN = /((?:https?|wss?):\/\/)(?!user(?:name)?:?@)[^\s/?#:@"'`\\[\]]{1,256}(:?@)(?=[\w[])/gi
const PEM = /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g
const AWS_KEY = /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g
const JWT = /(?<![\w-])eyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*){0,3}/g
/**
 * Matches tokens that begin with the prefix of a service: GitHub, GitLab, Slack, Stripe, Google, npm, PyPI, OpenAI, Anthropic, Vault,
 * DigitalOcean, SendGrid and Shopify.
 */
const MARKED =
  /\b(?:hv[sb]\.[\w-]{20,255}|do[opr]_v1_[a-f0-9]{64}|ya29\.[\w-]{20,1024}|SG\.[\w-]{16,64}\.[\w-]{16,128}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|pypi-[\w-]{30,1024}|whsec_[A-Za-z0-9+/=]{16,255}|xapp-[\w-]{16,255}|gh[oprsu]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255}|gl(?:pat|rt|dt|ptt|cbt)-[\w-]{16,255}|xox[abeoprs]-[A-Za-z0-9-]{10,255}|[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}|AIza[\w-]{35}|npm_[A-Za-z0-9]{30,255}|sk-[\w-]{20,255})/g
/** Matches the secret part of a webhook address of Slack, Discord, Teams or Telegram. */
const WEBHOOK =
  /(\/\/(?:hooks\.slack\.com\/(?:services|workflows|triggers)\/|discord(?:app)?\.com\/api\/webhooks\/|(?:[\w-]{1,64}\.webhook|outlook)\.office(?:365)?\.com\/webhook(?:b2)?\/|api\.telegram\.org\/(?:file\/)?bot))[\w/@:-]{1,512}/gi
/** Matches the password in the address of a database as Go writes it: `user:secret@tcp(host:3306)/db`. */
const GO_PASSWORD = /(?<![\w.-])([\w.-]{1,64}:)[^\s"'`]{1,256}(?=@(?:tcp|unix)\()/g
/**
 * These three match the password in an SQL statement, the password in a call of the MySQL client or of curl, and the text of an XML
 * element.
 */
const IN_SQL =
  /\b((?:IDENTIFIED[ \t]{1,4}(?:WITH[ \t]{1,4}\w{1,64}[ \t]{1,4})?(?:BY|AS)|PASSWORD[ \t]{0,4}\()[ \t]{0,4}(?:PASSWORD[ \t]{1,4})?)(\\{0,15}['"])(?:(?!\2)[^]){1,512}\2/gi
const IN_COMMAND =
  /\b((?:mysql|mariadb)\w{0,16}\b[^\n;|]{0,128}?[ \t]-p|sshpass[ \t]{1,4}-p[ \t]{0,4}|redis-cli\b[^\n;|]{0,128}?[ \t]-a[ \t]{1,4}|docker[ \t]{1,4}login\b[^\n;|]{0,128}?[ \t]-p[ \t]{1,4}|curl\b[^\n;|]{0,128}?[ \t](?:-u|--user)[ \t=]{0,4}[^\s:]{1,128}:)[^\s"'`\\]{1,512}/g
const IN_XML = /(<(?:[\w-]{1,64}:)?([\w-]{1,64})>)(?:<!\[CDATA\[[^<>]{1,4096}\]\]>|[^<>"]{1,4096})(?=<\/)/g
const SCHEME =
  /\b(Bearer|Basic)(\s{1,4})(?!(?:token|auth|scheme|realm|authentication|authorization)s?\b)[\w.~+/=-]{4,}/gi
const QUERY_SECRET =
  /([?&;](?:key|sig|signature|x-amz-(?:signature|credential|security-token)|code|auth)=)[^&\s"'#\\]{1,4096}/gi
const KEY =
  /(?:password|passwd|(?<![a-z])pwd|(?<=[a-z])Pwd|passphrase|secret|token|(?<![a-z])sig|jwt|api[-_ ]?key|private[-_ ]?key|access[-_ ]?key|account[-_ ]?key|secret[-_ ]?key|(?:signing|encryption|shared|master|storage|subscription|functions|ssh|tls)[-_ ]?key|authorization|cookies?|credentials?|passcode)(?:\[\w{0,32}\]|%5B\w{0,32}%5D)?(?<quotes>\\{0,15}["'`]|)(?:\]|%5D)?[ \t]{0,4}(?:[=-]>|:?={1,3}|:|%3[DA])[ \t]{0,4}/gi
const DSN_KEY = /dsn(?:\\{0,15}["'`]\s{0,4}:\s{0,4}|=)/gi
/** Matches the last word of a name whose value may also be harmless: `DB_PASS`, `smtpPass`, `auth`, `signature`. */
const DOUBTFUL_KEY =
  /(?:pass|Pass|PASS|auth|Auth|AUTH|signature|Signature|SIGNATURE)(?:[-_]?\d{1,4})?(?<quotes>\\{0,15}["'`]|)[ \t]{0,4}(?:=>|[:=])[ \t]{0,4}/g
/** Matches an option of a command line, followed by a space and its value. */
const FLAG = /-([a-z][\w-]{0,63})[ \t]{1,4}(?=[^\s-])/gi
/** Matches an item of a list after which a secret may follow: `["--password", "…"]`, `["x-api-key", "…"]`. */
const ANNOUNCED =
  /(["'`])(-{1,2}[a-z][\w-]{0,63}|(?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]{1,40})\\{0,15}\1\s{0,4},\s{0,8}(?=\\{0,15}["'`])/gi
/** Matches a pair of a name and its value in a list of pairs, such as the entries of an object: `[["password", "…"]]`. */
const PAIR =
  /(?<=[[,]\s{0,8})(\[\s{0,4}(\\{0,15}["'`])([\w.-]{1,64})\2\s{0,4},\s{0,8}\2)((?:(?!\2)[^]){1,512})(?=\2\s{0,4}\])/g
/** These two match `{ name: "password", value: "…" }`, in this order and with the value first. */
const NAMED =
  /\b(?:name|key|header|field)(?<quotes>\\{0,15}["'`]|)\s{0,4}[:=]\s{0,4}(\\{0,15}["'`])([\w.-]{1,64})\2(?:\s{0,4},\s{0,8}|\s{1,8})(?:\\{0,15}["'`])?value(?:\\{0,15}["'`])?\s{0,4}[:=]\s{0,4}/gi
const VALUE_FIRST =
  /\b(value(?:\\{0,15}["'`])?\s{0,4}[:=]\s{0,4}(\\{0,15}["'`]))((?:(?!\2)[^]){1,512}?)(\2(?:\s{0,4},\s{0,8}|\s{1,8})(?:\\{0,15}["'`])?(?:name|key|header|field)(?:\\{0,15}["'`])?\s{0,4}[:=]\s{0,4}\\{0,15}["'`]([\w.-]{1,64})\\{0,15}["'`])/gi
/** Matches the parameters of a scheme such as `Digest username="…", response="…"`. */
const SCHEME_PARAMETERS =
  /\b(Digest|OAuth|Hawk|AWS4-HMAC-SHA256|SCRAM-SHA-\d{1,3}|Signature)(\s{1,4})(?:[\w-]{1,64}=(?:\\{0,15}"[^"\\]{0,4096}\\{0,15}"|[^\s,"'`\\]{0,4096})[ \t]{0,4},?[ \t]{0,4}){1,32}/gi
/** Keys whose value extends to the end of the line, because it may contain spaces and punctuation. */
const WHOLE_LINE = /^(?:authorization|cookie)/i

/** Whether a value that was found stays visible. */
type IsHarmless = (found: Found) => boolean

interface Found {
  readonly text: string
  readonly match: RegExpExecArray
  /** Where the value begins. */
  readonly open: number
  readonly end: number
  readonly value: string
  readonly isQuoted: boolean
}

/**
 * Hides secrets in a string: passwords of connection strings (`mysql://user:secret@host`), values of secret keys in any notation
 * (`password=…`, `api-key: …`, `{"token":"…"}`, `--password …`, even in lists and in JSON within JSON), HTTP credentials, tokens and
 * private keys. Works on plain text and on a line of JSON, in time proportional to its length.
 */
export function redactText(text: string): string {
  // Each guard is a fast search, because most lines contain no secrets.
  let hidden = text.includes('-----BEGIN') ? text.replace(PEM, HIDDEN) : text
  if (text.includes('@')) hidden = hidden.replace(URL_PASSWORD, `$1${HIDDEN}@`).replace(URL_TOKEN, `$1${HIDDEN}$2`)
  hidden = hidden.replace(AWS_KEY, HIDDEN)
  hidden = hidden.replace(MARKED, HIDDEN)
  if (text.includes('://')) hidden = hidden.replace(WEBHOOK, `$1${HIDDEN}`)
  if (text.includes('</')) hidden = hidden.replace(IN_XML, hideElement)
  if (text.includes(' -')) hidden = hidden.replace(IN_COMMAND, `$1${HIDDEN}`)
  hidden = hidden.replace(IN_SQL, `$1$2${HIDDEN}$2`)
  if (text.includes('eyJ')) hidden = hidden.replace(JWT, HIDDEN)
  if (text.includes('=')) {
    hidden = hidden.replace(SCHEME_PARAMETERS, `$1$2${HIDDEN}`).replace(QUERY_SECRET, `$1${HIDDEN}`)
  }
  if (text.includes('alue')) hidden = hideNamed(hidden)
  if (text.includes('[')) hidden = hidden.replace(PAIR, hidePair)
  if (text.includes('@tcp(') || text.includes('@unix(')) hidden = hidden.replace(GO_PASSWORD, `$1${HIDDEN}`)
  hidden = hideValues(hideValues(hidden, KEY, isProse), DSN_KEY, () => false)
  hidden = hideValues(hidden, DOUBTFUL_KEY, isDoubtfulProse)
  if (text.includes('-')) hidden = hideValues(hidden, FLAG, isUsage)
  if (text.includes(',')) hidden = hideValues(hidden, ANNOUNCED, ({ match }) => !announcesSecret(match[2]))
  return hidden.replace(SCHEME, `$1$2${HIDDEN}`)
}

function hideElement(whole: string, tag: string, name: string): string {
  return isSecretKey(name) ? tag + HIDDEN : whole
}

function hidePair(whole: string, before: string, _quote: string, name: string): string {
  return isSecretKey(name) || isDoubtfulKey(name) ? before + HIDDEN : whole
}

function hideNamed(text: string): string {
  const isOther = (name = ''): boolean => !isSecretKey(name) && !isDoubtfulKey(name)
  const hidden = text.replace(VALUE_FIRST, (whole, before: string, _quote, _value, after: string, name: string) =>
    isOther(name) ? whole : before + HIDDEN + after,
  )
  return hideValues(hidden, NAMED, ({ match }) => isOther(match[3]))
}

function hideValues(text: string, key: RegExp, isHarmless: IsHarmless): string {
  let shown = ''
  let from = 0
  // `matchAll` would copy the pattern for each string.
  key.lastIndex = 0
  for (let match = key.exec(text); match; match = key.exec(text)) {
    if (match.index < from) continue
    const start = match.index + match[0].length
    for (const [open, end] of valuesAt(text, start, WHOLE_LINE.test(match[0]))) {
      if (end === open || text.startsWith(HIDDEN, open)) continue
      const isQuoted = open !== start
      if (isHarmless({ text, match, open, end, value: text.slice(open, end), isQuoted })) continue
      // JSON must stay valid, so the text that replaces an unquoted number has the same quotes as its key.
      const quotes = isQuoted ? '' : (match.groups?.['quotes'] ?? '')
      shown += text.slice(from, open) + quotes + HIDDEN + quotes
      from = end
    }
  }
  return from === 0 ? text : shown + text.slice(from)
}

const PROSE_KEY = /^(token|password|jwt)[ \t]{0,4}:[ \t]/i
/** Matches a plain word or sign that a parser reports after `unexpected token:`. */
const PROSE_TOKEN = /^(?:[a-z]{1,12}|[A-Z]{1,12}|[A-Z][a-z]{1,11}|[^\w\s]{1,3})$/

/**
 * Whether the value is ordinary text, such as `unexpected token: SELECT`, or a server's text about a refused login, `(using password:
 * YES)`. This needs care, because a password may be a plain word.
 */
function isProse({ text, match, value, isQuoted }: Found): boolean {
  const key = isQuoted ? undefined : PROSE_KEY.exec(match[0])?.[1]?.toLowerCase()
  // In a longer name, such as access_token, the value is a secret.
  if (key === undefined || /[\w-]/.test(text.charAt(match.index - 1))) return false
  return key === 'password' ? value === 'YES' || value === 'NO' : PROSE_TOKEN.test(value)
}

const PLAIN_WORD = /^[A-Za-z][A-Za-z'-]{0,19}[.:]?$/
const WORD_BEFORE = /[A-Za-z0-9)][ \t]$/
const WORD_AFTER = /[ \t][A-Za-z]/y
/** Matches the part of a name before the key that was found. */
const NAME_BEFORE = /[\w-]{0,64}$/

/**
 * Whether a doubtful key is only the end of another word, or its value is harmless: a word or a number as in `isHarmlessWord`, a text that
 * begins with `(`, `<` or `$`, or a word of a sentence, such as `first pass: 12 rows` or `auth: failed for ann`.
 */
function isDoubtfulProse({ text, match, end, value, isQuoted }: Found): boolean {
  const before = NAME_BEFORE.exec(text.slice(Math.max(0, match.index - 64), match.index))?.[0] ?? ''
  const word = /^[A-Za-z]+(?:[-_]?\d+)?/.exec(match[0])?.[0] ?? ''
  if (!isDoubtfulKey(before + word) && !isSecretKey(before + word)) return true
  const isPart = before !== ''
  if (isHarmlessWord(value) && !(isPart && /^\d/.test(value))) return true
  if (isQuoted) return false
  if (/^[(<$]/.test(value)) return true
  if (isPart || !/:[ \t]+$/.test(match[0]) || !PLAIN_WORD.test(value)) return false
  return WORD_BEFORE.test(text.slice(Math.max(0, match.index - 2), match.index)) || at(WORD_AFTER, text, end) !== null
}

/** Words that follow the name of an option in a sentence about the option. */
const USAGE =
  /^(?:is|are|was|were|to|or|and|must|has|have|not|no|cannot|can|for|with|without|in|on|of|if|when|as|from|requires?|required|needs?|expects?|options?|flags?|arguments?|parameters?|values?|should|may|will|does|only|instead|by|twice|also|both|missing|given|sets?|the|an?|at|but|it|that|which|than|before|after|takes|accepts|reads|into|via|using)$/i

/**
 * Whether the option takes no secret, or the text after it is a word of a sentence, a variable, or the placeholder of a help text:
 * `--password <password>`, `--token is required`.
 */
function isUsage({ text, match, value, isQuoted }: Found): boolean {
  const before = text.slice(Math.max(0, match.index - 2), match.index)
  if (!isSecretFlag(match[1] ?? '') || !/(?:^|[^\w-])-?$/.test(before)) return true
  return !isQuoted && (USAGE.test(value) || /^[<[$%(]/.test(value))
}

const OPENING = /(\\*)(["'`])/y
const WORD = /[^\s&"'`,;)}\]\\]*/y
const LINE = /[^\r\n"'`\\]*/y
const LITERAL = /(?:null|undefined|true|false|\{)(?![\w])/y
const LIST = /\[\s{0,8}(?=\\{0,15}["'`])/y
const NEXT_ITEM = /\\{0,15}["'`]\s{0,4},\s{0,8}(?=\\{0,15}["'`])/y
/** The maximum number of items of one list that are hidden. */
const MAX_ITEMS = 1_000

/** Returns where the value begins and ends, without its quotes. For a list, returns this for each string in it. */
function valuesAt(text: string, start: number, isWholeLine: boolean): [number, number][] {
  const list = at(LIST, text, start)
  if (!list) return [valueOf(text, start, isWholeLine)]
  const values: [number, number][] = []
  for (let from = start + list[0].length; values.length < MAX_ITEMS;) {
    const value = valueOf(text, from, false)
    values.push(value)
    const next = at(NEXT_ITEM, text, value[1])
    if (!next) break
    from = value[1] + next[0].length
  }
  return values
}

function valueOf(text: string, start: number, isWholeLine: boolean): [number, number] {
  const opening = at(OPENING, text, start)
  if (!opening) {
    if (text[start] === '[' || at(LITERAL, text, start)) return [start, start]
    return [start, start + (at(isWholeLine ? LINE : WORD, text, start)?.[0].length ?? 0)]
  }
  const [whole, slashes = '', quote = '"'] = opening
  const open = start + whole.length
  return [open, closing(text, open, quote, slashes.length)]
}

/** Finds the closing quote. In JSON within JSON, the quotes of each level have a different number of backslashes. */
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
