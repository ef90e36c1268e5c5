/** Sections of the configuration that packs bring along. */
import type { z } from 'zod';
import type { LoadedConfig } from './load';
import { configSchemaOf, type EnvironmentConfig, type ServiceConfig } from './schema';

/** What a pack adds to every service and to every environment of `runbooks.yaml`. */
export interface PackSettings {
  service?: z.ZodObject;
  environment?: z.ZodObject;
}

/** A service with the sections of a pack. */
export type ServiceWith<S extends PackSettings> = Omit<ServiceConfig, 'environments'> &
  (S extends { service: infer T extends z.ZodObject } ? z.output<T> : unknown) & {
    environments: Record<string, EnvironmentWith<S>>;
  };

/** An environment with the sections of a pack. */
export type EnvironmentWith<S extends PackSettings> = EnvironmentConfig &
  (S extends { environment: infer T extends z.ZodObject } ? z.output<T> : unknown);

/** A configuration with the sections of a pack. */
export type ConfigWith<S extends PackSettings> = Omit<LoadedConfig, 'services'> & {
  services: Record<string, ServiceWith<S>>;
};

/** The schema of a configuration with the sections of these packs. Keys that nobody declares stay refused. */
export function configSchemaWith(settings: readonly PackSettings[]): typeof import('./schema').configSchema {
  const shapeOf = (part: keyof PackSettings): z.ZodRawShape =>
    Object.assign({}, ...settings.map((one) => one[part]?.shape)) as z.ZodRawShape;
  return configSchemaOf({ service: shapeOf('service'), environment: shapeOf('environment') });
}
