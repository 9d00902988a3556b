import { addressOf, type Request } from './api.ts'

/** A text as one word of a POSIX shell. */
export function shellWord(value: string | number): string {
  const text = String(value)
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

/** A command line of `piko`. */
export function cliText(words: readonly (string | number)[], reason = ''): string {
  const all = ['piko', ...words, ...(reason === '' ? [] : ['--reason', reason])]
  return all.map(shellWord).join(' ')
}

/** A request as a command line of curl. With `hasToken`, it reads a token from the variable `PIKO_TOKEN`. */
export function curlText(request: Request, hasToken = false): string {
  const { method, body } = request
  const url = new URL(addressOf(request), location.origin).href
  const words = ['curl', ...(method === 'GET' ? [] : ['-X', method])]
  if (body) words.push('-H', 'content-type: application/json', '-d', JSON.stringify(body))
  const text = [...words, url].map(shellWord).join(' ')
  // The shell expands the variable between these quotes.
  return hasToken ? text.replace('curl', 'curl -H "authorization: Bearer $PIKO_TOKEN"') : text
}
