import type { MethodDefinition } from '@grpc/grpc-js'

export interface Numbered {
  readonly index: number
}

const toBytes = (value: Numbered): Buffer => Buffer.from(JSON.stringify(value))
const fromBytes = (bytes: Buffer): Numbered => JSON.parse(bytes.toString()) as Numbered

/** One unary method with JSON, as the other systems send it. */
export const ECHO: Readonly<Record<'echo', MethodDefinition<Numbered, Numbered>>> = {
  echo: {
    path: '/bench.Echo/echo',
    requestStream: false,
    responseStream: false,
    requestSerialize: toBytes,
    requestDeserialize: fromBytes,
    responseSerialize: toBytes,
    responseDeserialize: fromBytes,
  },
}
