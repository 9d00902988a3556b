import { addressOf, type Request } from '../shared/api.ts'

/** Quotes a string as one word of a POSIX shell. */
export function shellWord(value: string | number): string {
  const text = String(value)
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

/** Returns a `piko` command line. */
export function cliText(words: readonly (string | number)[], reason = ''): string {
  const all = ['piko', ...words, ...(reason === '' ? [] : ['--reason', reason])]
  return all.map(shellWord).join(' ')
}

/** Returns a request as a curl command. With `hasToken`, the command reads the token from the variable `PIKO_TOKEN`. */
export function curlText(request: Request, hasToken = false): string {
  const { method, body } = request
  const url = new URL(addressOf(request), location.origin).href
  const words = ['curl', ...(method === 'GET' ? [] : ['-X', method])]
  if (body) words.push('-H', 'content-type: application/json', '-d', JSON.stringify(body))
  const text = [...words, url].map(shellWord).join(' ')
  // The shell replaces the variable inside double quotes.
  return hasToken ? text.replace('curl', 'curl -H "authorization: Bearer $PIKO_TOKEN"') : text
}
