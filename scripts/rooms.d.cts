export const rooms: string[];
export const sandboxSafe: string[];
export const zones: { target: string; from: string; except: string[]; message: string }[];
