-- Runs once, when the volume is new; the database "temporal" is made by the image itself.
CREATE DATABASE temporal_visibility;
