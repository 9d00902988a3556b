import { chainOf, messageOf } from '../../errors-read.ts'

const ABOUT_CERTIFICATES: readonly (readonly [RegExp, string])[] = [
  [
    /does not match certificate's altnames/i,
    'the certificate of the other end is for another host: use a host name or IP address that is in it, or get a certificate for this one',
  ],
  [/certificate has expired/i, 'renew the certificate of the other end, and of its authority if that one has expired'],
  [/not yet valid/i, 'check the clocks of both machines: the certificate is not valid before its date'],
  [
    /self[- ]signed certificate|unable to (?:verify|get (?:local )?issuer)/i,
    'the authority that signed the certificate of the other end is unknown here: pass its certificate as tls.ca, for nodes [link] tls_ca',
  ],
]

/** Returns what to do if the other end's certificate is not trusted. Undefined if the connection failed for another reason. */
export function trustAdvice(error: unknown): string | undefined {
  const messages = chainOf(error).map((each) => messageOf(each))
  return ABOUT_CERTIFICATES.find(([pattern]) => messages.some((message) => pattern.test(message)))?.[1]
}
