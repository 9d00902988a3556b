import { PikoError } from '../../errors.ts'
import { problemsText } from '../../options.ts'
import { isLoopback } from '../../access/loopback.ts'

export interface Exposure {
  readonly host: string
  readonly api: boolean
  /** Whether the server has a key and a certificate. */
  readonly hasTls: boolean
  /** Whether the settings say that another program encrypts the connections. */
  readonly plain: boolean
  /** Whether there are tokens; undefined: not known yet. */
  readonly hasTokens: boolean | undefined
}

/**
 * Refuses to serve an unprotected API.
 *
 * @throws PikoError `HTTP_UNPROTECTED` if other machines can reach the API although no token is valid or tokens could be read on the way
 */
export function assertProtected({ host, api, hasTls, plain, hasTokens }: Exposure): void {
  if (!api || isLoopback(host)) return
  const problems = [
    ...(hasTokens === false
      ? ['no token is valid: create one (piko tokens create <name> --role admin) or set [http] tokens_file']
      : []),
    ...(hasTls || plain
      ? []
      : [
          'tokens would travel in plain text: set [http] tls_key and tls_cert, or [http] plain = true if a proxy or the network encrypts',
        ]),
  ]
  if (problems.length === 0) return
  const others = 'or listen on 127.0.0.1, or set [http] api = false to serve only health, metrics and the graph'
  const what = `the API on ${host}, which other machines could use,`
  throw new PikoError('HTTP_UNPROTECTED', problemsText(what, [...problems, others]), {
    details: { host, problems },
  })
}
