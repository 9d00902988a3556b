import type { Cookie } from 'playwright-core'
import type { DownloadSession } from '../downloader.ts'

/** The cookies of a header as a browser takes them. Pure. */
export function cookiesTo(url: string, header: string | undefined): { name: string; value: string; url: string }[] {
  if (header === undefined) return []
  return header.split(/;\s*/).map((pair) => {
    const [name = '', ...value] = pair.split('=')
    return { name, value: value.join('='), url }
  })
}

/** Gives the cookies of a browser back to a session, as if servers had set them. */
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
    // Without a dot, the cookie is for this host alone.
    ...(domain.startsWith('.') ? [`Domain=${domain.slice(1)}`] : []),
    ...(expires > 0 ? [`Expires=${new Date(expires * 1_000).toUTCString()}`] : []),
    ...(secure ? ['Secure'] : []),
    ...(httpOnly ? ['HttpOnly'] : []),
  ].join('; ')
}
