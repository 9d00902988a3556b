import type { CookieJar } from 'tough-cookie'
import { optionalPackage } from '../../optional-package.ts'

/** The largest jar that is stored. */
const MAX_JAR_CHARS = 200_000

/** The cookies of a session (RFC 6265), as tough-cookie keeps them. */
export class Cookies {
  readonly #jar: CookieJar
  #hasChanged = false

  constructor(jar: CookieJar) {
    this.#jar = jar
  }

  get hasChanged(): boolean {
    return this.#hasChanged
  }

  /** The `cookie` header for a URL. */
  for(url: string): string | undefined {
    const text = this.#jar.getCookieStringSync(url)
    return text === '' ? undefined : text
  }

  /** Takes `set-cookie` headers. One that the standard refuses, such as for another domain, is left out. */
  store(url: string, headers: readonly string[]): void {
    for (const header of headers) {
      if (this.#jar.setCookieSync(header, url, { ignoreError: true, loose: true })) this.#hasChanged = true
    }
  }

  /** The text to store. Cookies that don't fit are forgotten. */
  text(): string {
    const text = JSON.stringify(this.#jar.serializeSync() ?? {})
    return text.length > MAX_JAR_CHARS ? '' : text
  }
}

/** Makes jars. @throws PikoError `PACKAGE_MISSING` */
export async function cookieJars(): Promise<(text: string) => Cookies> {
  const library = await optionalPackage('tough-cookie', 'the sessions of a crawl', () => import('tough-cookie'))
  return (text) => new Cookies(text === '' ? new library.CookieJar() : library.CookieJar.deserializeSync(text))
}
