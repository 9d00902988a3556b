export { dial, type DialOptions } from './connect/dial.ts'
export { duplexFrom, linkOf, type LinkOfOptions, type Pipe } from './connect/link-of.ts'
export { listen, type LinkServer, type ListenOptions } from './connect/listen.ts'
export type { DialTls } from './connect/dial-tls.ts'
export type { Sendable } from './content.ts'
export { Emitter } from '../emitter.ts'
export type { Link, LinkEvents, LinkState, LinkStats } from './link.ts'
export type { CallOptions, Level, LinkOptions, SchemaOptions } from './link-options.ts'
export type { Body } from './message/body.ts'
export type { SpooledFile } from './message/spool.ts'
export { type Answer, answer, type AnswerHeaders } from './routes/answer.ts'
export { defineRoutes, type Routes } from './routes/define-routes.ts'
export type {
  ErrorHandler,
  Handler,
  HttpMethod,
  Middleware,
  RouteOptions,
  RouteRequest,
  RoutesOptions,
  StreamHandler,
  UploadHandler,
  UploadOptions,
  UploadRequest,
} from './routes/route-types.ts'
