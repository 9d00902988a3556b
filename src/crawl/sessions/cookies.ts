import type { CookieJar } from 'tough-cookie'
import { optionalPackage } from '../../optional-package.ts'

/** The maximum length of a stored cookie jar, in characters. */
const MAX_JAR_CHARS = 200_000

/** The cookies of a session, as defined in RFC 6265, in a tough-cookie jar. */
export class Cookies {
  readonly #jar: CookieJar
  #hasChanged = false

  constructor(jar: CookieJar) {
    this.#jar = jar
  }

  get hasChanged(): boolean {
    return this.#hasChanged
  }

  /** Returns the `cookie` header for a URL; undefined if there are no cookies for the URL. */
  for(url: string): string | undefined {
    const text = this.#jar.getCookieStringSync(url)
    return text === '' ? undefined : text
  }

  /** Stores `set-cookie` headers. Ignores those that the standard forbids, such as a cookie for another domain. */
  store(url: string, headers: readonly string[]): void {
    for (const header of headers) {
      if (this.#jar.setCookieSync(header, url, { ignoreError: true, loose: true })) this.#hasChanged = true
    }
  }

  /** Returns the jar as a string to store. If the string would be too long, returns an empty string, which means no cookies. */
  text(): string {
    const text = JSON.stringify(this.#jar.serializeSync() ?? {})
    return text.length > MAX_JAR_CHARS ? '' : text
  }
}

/**
 * Returns a function that restores cookies from a stored string, which may be empty.
 *
 * @throws PikoError `PACKAGE_MISSING`
 */
export async function cookieJars(): Promise<(text: string) => Cookies> {
  const library = await optionalPackage('tough-cookie', 'the sessions of a crawl', () => import('tough-cookie'))
  return (text) => new Cookies(text === '' ? new library.CookieJar() : library.CookieJar.deserializeSync(text))
}
