import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, PikoError, toError } from '../../../errors.ts'

/** The connection options from a DSN's parameters, as plain data that can be sent to a thread. */
export interface ConnectionParams {
  readonly socketPath?: string
  /** How TLS is checked; undefined: no TLS. */
  readonly ssl?: TlsChecks
}

export interface TlsChecks {
  /** Certificates of the trusted authorities, as PEM. Undefined: the authorities that Node.js trusts. */
  readonly ca?: string
  /** Whether to check that a known authority has signed the certificate and that it has not expired. */
  readonly rejectUnauthorized: boolean
  /** Whether to check that the certificate is for the host of the DSN. */
  readonly verifyIdentity: boolean
}

type Params = Readonly<Record<string, string>>

const TLS_MODES = ['DISABLED', 'REQUIRED', 'VERIFY_CA', 'VERIFY_IDENTITY'] as const
const KNOWN = 'charset, unix_socket, ssl, ssl_ca, ssl_mode, ssl_verify_cert, ssl_verify_identity'

/**
 * Reads the parameters of a DSN. With TLS, the certificate and its host name are verified, unless a parameter or `verifyHost` turns this
 * off.
 *
 * @param verifyHost the setting `[mysql] ssl_verify_host`; a parameter of the DSN takes precedence
 * @throws PikoError `SETTINGS_INVALID` for a parameter that is unknown, has an invalid value, or contradicts another one
 */
export function connectionParams(params: Params, verifyHost = true): ConnectionParams {
  const { unix_socket: socketPath } = params
  const wishes = Object.entries(params).map(([name, value]) => wishOf(name, value))
  // If several parameters set the same check, the last one applies.
  const { ca, isOn, checksCert, checksHost } = Object.assign({}, ...wishes) as Wish
  if (isOn === false && ca !== undefined)
    throw new PikoError('SETTINGS_INVALID', 'MySQL DSN parameter "ssl_ca" is given, but TLS is off; remove one of them')
  const isTls = isOn ?? ca !== undefined
  const rejectUnauthorized = checksCert ?? true
  // A local socket has no host name that could be checked.
  const verifyIdentity = rejectUnauthorized && socketPath === undefined && (checksHost ?? verifyHost)
  return {
    ...(socketPath !== undefined && { socketPath }),
    ...(isTls && { ssl: { ...(ca !== undefined && { ca }), rejectUnauthorized, verifyIdentity } }),
  }
}

/** Returns a warning if a check of the server's certificate is off. Undefined if all are on, or without TLS. */
export function uncheckedTls(params: Params, verifyHost?: boolean): string | undefined {
  const { ssl, socketPath } = connectionParams(params, verifyHost)
  if (!ssl || (ssl.rejectUnauthorized && (ssl.verifyIdentity || socketPath !== undefined))) return undefined
  return ssl.rejectUnauthorized
    ? "the host name in the MySQL server's certificate is not verified: any host with a certificate of the same authority is trusted"
    : "the MySQL server's certificate is not verified: whoever answers at its address is trusted"
}

interface Wish {
  readonly ca?: string
  readonly isOn?: boolean
  readonly checksCert?: boolean
  readonly checksHost?: boolean
}

function wishOf(name: string, value: string): Wish {
  switch (name) {
    case 'unix_socket':
      return {}
    case 'charset':
      if (value.startsWith('utf8mb4')) return {}
      throw invalidParam(name, value, 'utf8mb4, the only character set that Piko uses')
    case 'ssl':
      if (value === 'skip-verify') return { isOn: true, checksCert: false }
      if (value === 'true' || value === 'false') return { isOn: value === 'true' }
      throw invalidParam(name, value, 'true, skip-verify or false')
    case 'ssl_ca':
      return { ca: readCertificates(value) }
    case 'ssl_verify_cert':
      return withTls(flag(name, value), 'checksCert')
    // PyMySQL and mysqlclient have different names for the same check.
    case 'ssl_verify_identity':
    case 'ssl_check_hostname':
      return withTls(flag(name, value), 'checksHost')
    case 'ssl_mode':
    case 'ssl-mode':
      return wishOfMode(name, value)
    default:
      throw invalidParam(name, value, `one of ${KNOWN}; remove it`)
  }
}

/**
 * Returns the effect of a parameter that turns a check on or off. Turning a check on also turns on TLS. Turning a check off does not change
 * TLS.
 */
function withTls(checks: boolean, check: 'checksCert' | 'checksHost'): Wish {
  return { [check]: checks, ...(checks && { isOn: true }) }
}

/** Each mode means the same as for MySQL's own client. `PREFERRED` is refused. */
function wishOfMode(name: string, value: string): Wish {
  switch (TLS_MODES.find((mode) => mode === value.toUpperCase())) {
    case 'DISABLED':
      return { isOn: false }
    case 'REQUIRED':
      return { isOn: true, checksCert: false }
    case 'VERIFY_CA':
      return { isOn: true, checksCert: true, checksHost: false }
    case 'VERIFY_IDENTITY':
      return { isOn: true, checksCert: true, checksHost: true }
    case undefined:
      throw invalidParam(name, value, `one of ${TLS_MODES.join(', ')}`)
  }
}

function flag(name: string, value: string): boolean {
  if (['true', '1'].includes(value.toLowerCase())) return true
  if (['false', '0'].includes(value.toLowerCase())) return false
  throw invalidParam(name, value, 'true or false')
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/**
 * Reads one or several PEM certificates, or one DER certificate. Checks them, because Node.js ignores certificates that it can't read, and
 * then trusts no server.
 */
function readCertificates(path: string): string {
  const refuse = (problem: string, cause: unknown): PikoError =>
    new PikoError('SETTINGS_INVALID', `MySQL DSN parameter "ssl_ca": ${problem}`, { cause })
  let content: Buffer
  try {
    content = readFileSync(path)
  } catch (error) {
    throw refuse(toError(error).message, error)
  }
  const blocks = content.toString('latin1').match(PEM) ?? [content]
  try {
    return blocks.map((block) => new X509Certificate(block).toString()).join('')
  } catch (error) {
    throw refuse(`the file ${path} holds no certificate that can be read; expected PEM`, error)
  }
}

function invalidParam(name: string, value: string, expected: string): PikoError {
  return new PikoError(
    'SETTINGS_INVALID',
    `MySQL DSN parameter "${name}" is ${describe(value)}; expected ${expected}`,
    { details: { param: name, value } },
  )
}

const ABOUT_CERTIFICATES: readonly (readonly [RegExp, string])[] = [
  [
    /does not match certificate's altnames/i,
    'the certificate is for another host: use the host name of the certificate in the DSN, or get a certificate for this host. ' +
      '[mysql] ssl_verify_host = false trusts any host of this authority',
  ],
  [/certificate has expired/i, 'renew the certificate of the server, and of its authority if that one has expired'],
  [
    /not yet valid/i,
    'check the clocks of this machine and of the server: the certificate is not valid before its date',
  ],
  [
    /self[- ]signed certificate|unable to (?:verify|get (?:local )?issuer)/i,
    'the authority that signed the certificate is unknown here: set ssl_ca in the DSN to the file of its certificate',
  ],
  [
    /does not support secure connection/i,
    'the server has no certificate: set its ssl_cert and ssl_key, or remove TLS from the DSN',
  ],
  [/insecure transport/i, 'the server accepts only TLS connections: add ssl=true or ssl_ca to the DSN'],
]

/** Returns advice for a connection that failed because of TLS. Undefined if it failed for another reason. */
export function tlsAdvice(error: unknown): string | undefined {
  const { message, code } = error as { readonly message?: unknown; readonly code?: unknown }
  const [, known] = ABOUT_CERTIFICATES.find(([pattern]) => pattern.test(String(message))) ?? []
  if (known !== undefined) return known
  return code === 'HANDSHAKE_SSL_ERROR'
    ? 'TLS failed before login: check the certificate, key and tls_version of the server'
    : undefined
}
