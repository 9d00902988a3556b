const SECRET_NAME =
  /(?:password|passcode|passwd|pwd|passphrase|secret|token|dsn|authorization|cookies?|credentials?|jwt|apikey|privatekey|accesskey|secretkey|signingkey|encryptionkey|accountkey|sharedkey|masterkey|storagekey|subscriptionkey|functionskey|sshkey|tlskey|(?:db|user|smtp|imap|mail|ftp|ssh|root|admin|mysql|pg|redis|proxy|login|key|store)pass)$/

/**
 * Whether a value with this key is a secret: `password`, `clientSecret`, `X_API_KEY`, `set-cookie`. `tokens`, `monkey` and `author` do not
 * match.
 */
export function isSecretKey(key: string): boolean {
  return SECRET_NAME.test(
    key
      .slice(-64)
      .replace(/[^a-z0-9]/gi, '')
      .toLowerCase(),
  )
}

/** Matches the last word of a name such as `smtpPass`, `DB_PASS`, `auth`, `X-Hub-Signature-256`. Does not match `bypass` or `oauth`. */
const DOUBTFUL_NAME =
  /(?:(?<![A-Za-z])(?:pass|Pass|PASS|auth|Auth|AUTH|sig|Sig|SIG|signature|Signature|SIGNATURE)|(?<=[a-z0-9])(?:Pass|Auth|Sig|Signature))(?:[-_]?\d{1,4})?$/

/** Whether a string with this key is probably a secret. It may also be a word, a number or a group of other keys. */
export function isDoubtfulKey(key: string): boolean {
  return DOUBTFUL_NAME.test(key.slice(-64))
}

/** Values of a doubtful key that are not secret: a kind of login, an answer, a short number, the name of a signal. */
const HARMLESS =
  /^(?:none|basic|bearer|digest|ntlm|negotiate|oauth2?|jwt|tokens?|m?tls|ldap|saml|iam|kerberos|anonymous|required|optional|true|false|yes|no|on|off|ok|enabled|disabled|valid|invalid|missing|failed|passed|null|undefined|sig[a-z]+|-?\d{1,3}(?:\.\d+)?)$/i

export function isHarmlessWord(value: string): boolean {
  return value === '' || HARMLESS.test(value)
}

/** Whether the value of a field is a secret. Both its key and the value itself are considered. */
export function isSecretField(key: string, value: unknown): boolean {
  if (value === undefined || value === null) return false
  return isSecretKey(key) || (typeof value === 'string' && isDoubtfulKey(key) && !isHarmlessWord(value))
}

/** Whether an option of a command line is followed by a secret: `--password`, `-storepass`, `--auth`. */
export function isSecretFlag(name: string): boolean {
  return isSecretKey(name) || isDoubtfulKey(name)
}

const HEADER = /^(?:(?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]*(?:key|token|secret))$/i
const FLAG = /^-{1,2}([a-z][\w-]{0,63})$/i

/** Whether the next item of a list is a secret, as in raw headers and the arguments of a command. */
export function announcesSecret(item: unknown): boolean {
  if (typeof item !== 'string') return false
  const flag = FLAG.exec(item)?.[1]
  return flag === undefined ? HEADER.test(item) : isSecretFlag(flag)
}
