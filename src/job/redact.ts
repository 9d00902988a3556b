/** Stands where a secret was. */
export const HIDDEN = '[redacted]'

// Quantifiers are bounded and the scheme is not matched: a long line without spaces must not cost quadratic time.
// `host:3306/path` is no credential, so a port that ends the authority is left alone; and `user:password@host` is how
// help texts show the place of one.
const URL_PASSWORD = /(:\/\/[^\s/:@"]{0,128}:)(?!\d{1,5}(?:[/?#]|$)|password@[^\s"@]{0,256}(?:[\s"]|$))[^\s"]{1,256}@/g
const ASSIGNED_SECRET = /((?:password|passwd|secret|token|api_?key)=)[^\s&"',;)\\]+/gi

/**
 * The text without the passwords of connection strings (`mysql://user:secret@host`) and the values of
 * `password=…`, `token=…` and the like. Works on plain text and on a line of JSON.
 */
export function redactText(text: string): string {
  return text.replace(URL_PASSWORD, `$1${HIDDEN}@`).replace(ASSIGNED_SECRET, `$1${HIDDEN}`)
}
