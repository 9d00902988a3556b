export type { TaskInfo } from './background-tasks.ts'
export { systemClock as processClock, type Clock as ServiceClock } from '../clock.ts'
export { type ConsoleLevel, consoleLog, type ConsoleLogOptions } from './console-log.ts'
export { type BackgroundDecorator, type BackgroundMethod, crontab, task, timer } from './decorators.ts'
export { defineService, type ServiceContext, type ServiceDefinition } from './define-service.ts'
export { type GraphEdge, type GraphNode, type ServiceGraph, serviceGraph, toDot, toMermaid } from './graph/graph.ts'
export type { StopReason } from './lifecycle-parts.ts'
export type { ServiceObserver } from './observer.ts'
export { serviceReport } from './service-report.ts'
export type { ServiceState } from './service-state.ts'
export { Service, type ServiceOptions } from './service.ts'
export {
  type Replacement,
  type RestartBackoff,
  STRATEGIES,
  type Strategy,
  Supervisor,
  type SupervisorOptions,
} from './supervisor.ts'
export { toSvg } from './graph/svg.ts'
export type { CrontabOptions, TimerOptions, TimerStats } from './timer.ts'
export { lifeLog, treePrefix } from './tree-log.ts'
export { type Blocked, blockedText, type StackFrame, Watchdog, type WatchdogOptions } from './watchdog/watchdog.ts'
export { runWorker, Worker, type WorkerOptions } from './worker.ts'
