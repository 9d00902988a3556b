import type { Cookie } from 'playwright-core'
import type { DownloadSession } from '../downloader.ts'

/** Converts the `cookie` header for a URL to the form that a browser accepts. Pure. */
export function cookiesTo(url: string, header: string | undefined): { name: string; value: string; url: string }[] {
  if (header === undefined) return []
  return header.split(/;\s*/).map((pair) => {
    const [name = '', ...value] = pair.split('=')
    return { name, value: value.join('='), url }
  })
}

/** Stores the browser's cookies in a session, as if servers had set them. */
export function storeCookiesOf(cookies: readonly Cookie[], session: DownloadSession): void {
  for (const cookie of cookies) {
    const host = cookie.domain.replace(/^\./, '')
    const url = `${cookie.secure ? 'https' : 'http'}://${host}${cookie.path}`
    session.storeCookies(url, [headerOf(cookie)])
  }
}

function headerOf({ name, value, domain, path, expires, secure, httpOnly }: Cookie): string {
  return [
    `${name}=${value}`,
    `Path=${path}`,
    // A domain without a leading dot means that the cookie belongs to this host only.
    ...(domain.startsWith('.') ? [`Domain=${domain.slice(1)}`] : []),
    ...(expires > 0 ? [`Expires=${new Date(expires * 1_000).toUTCString()}`] : []),
    ...(secure ? ['Secure'] : []),
    ...(httpOnly ? ['HttpOnly'] : []),
  ].join('; ')
}
