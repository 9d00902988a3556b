import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, type Server } from 'node:tls'
import { PikoError, toError } from '../../errors.ts'
import { messageOf } from '../../errors-read.ts'
import type { Logger } from '../../logger.ts'

export interface TlsFiles {
  readonly key: string
  readonly cert: string
}

export interface TlsPair {
  readonly key: Buffer
  readonly cert: Buffer
}

const CHECK_MS = 60_000

/**
 * Returns the files of `[http] tls_key` and `tls_cert`, or undefined if neither is set.
 * @throws PikoError `TLS_INVALID` if only one is set
 */
export function tlsFiles(key: string, cert: string): TlsFiles | undefined {
  if (key === '' && cert === '') return undefined
  if (key !== '' && cert !== '') return { key, cert }
  const missing = key === '' ? 'tls_key' : 'tls_cert'
  throw new PikoError('TLS_INVALID', `[http] ${missing} is not set; tls_key and tls_cert belong together`)
}

/** Reads a key and its certificate. @throws PikoError `TLS_INVALID` */
export function readTls({ key, cert }: TlsFiles): TlsPair {
  const pair = { key: read('tls_key', key), cert: read('tls_cert', cert) }
  try {
    createSecureContext(pair)
    return pair
  } catch (thrown) {
    throw new PikoError(
      'TLS_INVALID',
      `[http] tls_key ${key} and tls_cert ${cert} can't be used: ${messageOf(thrown)}; expected a key and its certificate in PEM form, without a passphrase`,
      { cause: toError(thrown), details: { key, cert } },
    )
  }
}

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (thrown) {
    throw new PikoError('TLS_INVALID', `[http] ${name} ${path} can't be read: ${messageOf(thrown)}`, {
      cause: toError(thrown),
      details: { [name]: path },
    })
  }
}

/**
 * Uses renewed files without a restart. If the new pair is invalid, the server keeps the earlier one.
 * @returns a function that stops watching the files
 */
export function followTls(
  server: Pick<Server, 'setSecureContext'>,
  files: TlsFiles,
  log: Pick<Logger, 'error' | 'info'>,
): () => void {
  let mark = markOf(files)
  const timer = setInterval(() => {
    const found = markOf(files)
    if (found === mark) return
    mark = found
    try {
      server.setSecureContext(readTls(files))
      log.info('the server uses the renewed TLS certificate')
    } catch (thrown) {
      log.error({ err: toError(thrown) }, 'the renewed TLS certificate is invalid; the server keeps the earlier one')
    }
  }, CHECK_MS)
  timer.unref()
  return () => clearInterval(timer)
}

function markOf({ key, cert }: TlsFiles): string {
  return [key, cert].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs).join(' ')
}
