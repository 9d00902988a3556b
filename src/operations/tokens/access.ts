import { LRUCache } from 'lru-cache'
import type { Actor } from '../../access/actor.ts'
import { isSameSecret } from '../../access/same-secret.ts'
import { digestOf, MAX_TOKEN_CHARACTERS, newSecret, type TokenGrant } from '../../access/token.ts'
import { toError } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import type { FileTokens } from '../../settings/tokens-file.ts'
import { USE_LAG_MS } from '../../store/access/token-store.ts'
import type { Store } from '../../store/store.ts'

/** How often the tokens file is checked for changes. */
const FILE_CHECK_MS = 5_000
const MAX_USES = 10_000
const SESSION_MS = 12 * 3_600_000

interface AccessParts {
  /** @throws PikoError `STOPPED` before the store is open */
  readonly store: () => Store
  /** The path of `[http] tokens_file`; empty: none. */
  readonly tokensFile: string
  readonly log: Pick<Logger, 'error' | 'warn'>
}

/** A newly opened browser session. */
export interface OpenedSession {
  readonly actor: Actor
  /** The value of the session's cookie. */
  readonly secret: string
  readonly lengthMs: number
}

/** A reference to an object that belongs to a job. */
export type JobObject =
  | { readonly run: number }
  | { readonly backfill: number }
  | { readonly batch: number }
  | { readonly item: number }

/** `app.access`: checks tokens and sessions. Servers use it; people use `app.tokens`. */
export class Access {
  readonly #parts: AccessParts
  #file: { readonly tokens: FileTokens; readonly mark: string | undefined } | undefined
  #checkFileAt = -Infinity
  /** When the last use of each token was stored, by the token's id. */
  readonly #uses = new LRUCache<number, number>({ max: MAX_USES })

  constructor(parts: AccessParts) {
    this.#parts = parts
  }

  /**
   * Returns the actor of a token; undefined if there is no valid token with this text.
   *
   * @throws PikoError `STOPPED` while the app is not running, and the errors of the database
   */
  async verify(secret: string): Promise<Actor | undefined> {
    if (secret.length > MAX_TOKEN_CHARACTERS) return undefined
    const grant = await this.#grantOf(digestOf(secret))
    return grant && actorOf('token', grant)
  }

  /**
   * Whether there is any valid token.
   *
   * @throws PikoError `TOKENS_FILE_INVALID`, and the errors of the database
   */
  async hasTokens(): Promise<boolean> {
    const file = await this.#fileTokens()
    const now = new Date()
    if ([...file.values()].some(({ expiresAt }) => expiresAt === undefined || expiresAt > now)) return true
    return this.#parts.store().tokens.hasValid()
  }

  /** Opens a browser session with the permissions of the token; undefined if the token is not valid. */
  async openSession(secret: string): Promise<OpenedSession | undefined> {
    const token = await this.verify(secret)
    if (!token) return undefined
    const session = newSecret('pikos_')
    await this.#parts.store().tokens.openSession(digestOf(session), digestOf(secret), SESSION_MS)
    return { actor: { ...token, kind: 'session' }, secret: session, lengthMs: SESSION_MS }
  }

  /** Returns the actor of a session; undefined if the session or its token is no longer valid. */
  async session(secret: string): Promise<Actor | undefined> {
    if (secret.length > MAX_TOKEN_CHARACTERS) return undefined
    const digest = await this.#parts.store().tokens.sessionToken(digestOf(secret))
    const grant = digest === undefined ? undefined : await this.#grantOf(digest)
    return grant && actorOf('session', grant)
  }

  async closeSession(secret: string): Promise<void> {
    await this.#parts.store().tokens.closeSession(digestOf(secret))
  }

  /** Returns the job of an object; undefined if the object does not exist. */
  async jobOf(about: JobObject): Promise<string | undefined> {
    const { runs, backfills, batches, items } = this.#parts.store()
    if ('run' in about) return (await runs.find(about.run))?.jobId
    if ('backfill' in about) return (await backfills.find(about.backfill))?.jobId
    if ('batch' in about) return (await batches.find(about.batch))?.jobId
    const item = await items.show(about.item)
    return item && (await runs.find(item.runId))?.jobId
  }

  async #grantOf(digest: string): Promise<TokenGrant | undefined> {
    const wanted = Buffer.from(digest, 'hex')
    for (const [known, grant] of await this.#fileTokens()) {
      if (isSameSecret(wanted, Buffer.from(known, 'hex')))
        return grant.expiresAt === undefined || grant.expiresAt > new Date() ? grant : undefined
    }
    const { tokens } = this.#parts.store()
    // The database searches for the SHA-256 of a random string, so the timing reveals nothing about the text.
    const token = await tokens.valid(digest)
    if (token) this.#noteUse(token.id)
    return token
  }

  /** Stores when a token was last used, at most once per minute. Does not wait for the write. */
  #noteUse(id: number): void {
    const now = performance.now()
    if (now - (this.#uses.get(id) ?? -Infinity) < USE_LAG_MS) return
    this.#uses.set(id, now)
    const { log, store } = this.#parts
    store()
      .tokens.used(id)
      .catch((thrown: unknown) => log.warn({ err: toError(thrown) }, `the last use of token ${id} could not be stored`))
  }

  /** Returns the tokens of the file. The file is read again after a change. If the change is invalid, the previous tokens stay valid. */
  async #fileTokens(): Promise<FileTokens> {
    const { tokensFile, log } = this.#parts
    if (tokensFile === '') return new Map()
    const now = performance.now()
    if (this.#file && now < this.#checkFileAt) return this.#file.tokens
    const { fileMark, readTokensFile } = await import('../../settings/tokens-file.ts')
    const mark = fileMark(tokensFile)
    this.#checkFileAt = now + FILE_CHECK_MS
    if (this.#file && mark === this.#file.mark) return this.#file.tokens
    try {
      this.#file = { tokens: readTokensFile(tokensFile), mark }
    } catch (thrown) {
      if (!this.#file) throw thrown
      log.error({ err: toError(thrown) }, 'the tokens file is invalid; this node continues with the previous tokens')
      this.#file = { tokens: this.#file.tokens, mark }
    }
    return this.#file.tokens
  }
}

function actorOf(kind: 'token' | 'session', { name, role, jobs }: TokenGrant): Actor {
  return { kind, name, role, ...(jobs !== undefined && { jobs }) }
}
