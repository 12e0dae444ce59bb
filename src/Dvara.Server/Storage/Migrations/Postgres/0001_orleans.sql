-- Tables and query texts for the ADO.NET providers of Orleans 10.4: membership, reminders, grain storage. The providers know one table,
-- OrleansQuery; from it they take the text for each key at start, bind its @parameters and read its columns by name, so everything else is
-- ours. Names are unqualified: the connection's search path chooses the schema. All of it can run again, also beside running silos.
-- Silos need to read OrleansQuery, and to select, insert, update and delete in the other tables; they never need to own them.
-- Each text is one statement and so one transaction.

CREATE TABLE IF NOT EXISTS OrleansQuery (
    QueryKey  text PRIMARY KEY,
    QueryText text NOT NULL
);

-- One row per cluster. Its version is the token of every change of membership: who writes with an old one writes nothing.
CREATE TABLE IF NOT EXISTS orleans_clusters (
    cluster_id text    PRIMARY KEY,
    version    integer NOT NULL DEFAULT 0
);

-- One row per start of a silo; the generation tells a restart on the same address from the life before.
CREATE TABLE IF NOT EXISTS orleans_silos (
    cluster_id    text        NOT NULL REFERENCES orleans_clusters ON DELETE CASCADE,
    address       text        NOT NULL,
    port          integer     NOT NULL,
    generation    integer     NOT NULL,
    silo_name     text        NOT NULL,
    host_name     text        NOT NULL,
    status        integer     NOT NULL,
    gateway_port  integer     NOT NULL,
    suspect_times text,
    started       timestamptz NOT NULL,
    alive         timestamptz NOT NULL,
    PRIMARY KEY (cluster_id, address, port, generation)
);

CREATE TABLE IF NOT EXISTS orleans_reminders (
    service_id text        NOT NULL,
    grain_id   text        NOT NULL,
    name       text        NOT NULL,
    grain_hash integer     NOT NULL,
    started    timestamptz NOT NULL,
    period_ms  bigint      NOT NULL,
    version    integer     NOT NULL,
    PRIMARY KEY (service_id, grain_id, name)
);

-- Each silo reads the reminders of its part of the hash ring.
CREATE INDEX IF NOT EXISTS orleans_reminders_by_hash ON orleans_reminders (service_id, grain_hash);

-- The provider gives the state's name as type, not the grain's: two grain types that share state name and key would share the row.
-- The key makes a second first write of one state a conflict; two rows would keep the grain from ever activating again. A cleared state
-- stays as a row without payload, so that the version of a state that was cleared and written anew never repeats.
CREATE TABLE IF NOT EXISTS orleans_grain_state (
    service_id text    NOT NULL,
    id_hash    integer NOT NULL,
    type_hash  integer NOT NULL,
    id_n0      bigint  NOT NULL,
    id_n1      bigint  NOT NULL,
    type_name  text    NOT NULL,
    id_text    text    NOT NULL, -- empty where the id is a number or a GUID alone
    version    integer NOT NULL,
    payload    bytea,
    PRIMARY KEY (service_id, id_hash, type_hash, id_n0, id_n1, type_name, id_text)
);

INSERT INTO OrleansQuery (QueryKey, QueryText) VALUES

-- Membership. A change bumps the version and touches the silo's row, or does neither.

('InsertMembershipVersionKey', $$
    WITH made AS (
        INSERT INTO orleans_clusters (cluster_id) VALUES (@DeploymentId) ON CONFLICT DO NOTHING RETURNING 1
    )
    SELECT count(*) FROM made
$$),

('InsertMembershipKey', $$
    WITH bumped AS (
        UPDATE orleans_clusters SET version = version + 1
        WHERE cluster_id = @DeploymentId AND version = @Version AND NOT EXISTS (
            SELECT 1 FROM orleans_silos
            WHERE cluster_id = @DeploymentId AND address = @Address AND port = @Port AND generation = @Generation)
        RETURNING cluster_id
    ), joined AS (
        INSERT INTO orleans_silos
            (cluster_id, address, port, generation, silo_name, host_name, status, gateway_port, started, alive)
        SELECT cluster_id, @Address, @Port, @Generation, @SiloName, @HostName, @Status, @ProxyPort, @StartTime, @IAmAliveTime
        FROM bumped
        RETURNING 1
    )
    SELECT count(*) FROM joined
$$),

-- The row is locked first: one that cleaning takes away meanwhile must not cost a version. A heartbeat that came in between stays.
('UpdateMembershipKey', $$
    WITH known AS (
        SELECT cluster_id FROM orleans_silos
        WHERE cluster_id = @DeploymentId AND address = @Address AND port = @Port AND generation = @Generation
        FOR UPDATE
    ), bumped AS (
        UPDATE orleans_clusters c SET version = c.version + 1
        FROM known k WHERE c.cluster_id = k.cluster_id AND c.version = @Version
        RETURNING c.cluster_id
    ), changed AS (
        UPDATE orleans_silos s SET status = @Status, suspect_times = @SuspectTimes, alive = greatest(s.alive, @IAmAliveTime)
        FROM bumped b
        WHERE s.cluster_id = b.cluster_id AND s.address = @Address AND s.port = @Port AND s.generation = @Generation
        RETURNING 1
    )
    SELECT count(*) FROM changed
$$),

-- A heartbeat is the silo's own and no change of membership, so it takes no version.
('UpdateIAmAlivetimeKey', $$
    UPDATE orleans_silos SET alive = @IAmAliveTime
    WHERE cluster_id = @DeploymentId AND address = @Address AND port = @Port AND generation = @Generation
$$),

-- Both reads answer the version even when there is no silo.
('MembershipReadRowKey', $$
    SELECT c.cluster_id AS DeploymentId, s.address AS Address, s.port AS Port, s.generation AS Generation, s.silo_name AS SiloName,
        s.host_name AS HostName, s.status AS Status, s.gateway_port AS ProxyPort, s.suspect_times AS SuspectTimes,
        s.started AS StartTime, s.alive AS IAmAliveTime, c.version AS Version
    FROM orleans_clusters c LEFT JOIN orleans_silos s
        ON s.cluster_id = c.cluster_id AND s.address = @Address AND s.port = @Port AND s.generation = @Generation
    WHERE c.cluster_id = @DeploymentId
$$),

('MembershipReadAllKey', $$
    SELECT c.cluster_id AS DeploymentId, s.address AS Address, s.port AS Port, s.generation AS Generation, s.silo_name AS SiloName,
        s.host_name AS HostName, s.status AS Status, s.gateway_port AS ProxyPort, s.suspect_times AS SuspectTimes,
        s.started AS StartTime, s.alive AS IAmAliveTime, c.version AS Version
    FROM orleans_clusters c LEFT JOIN orleans_silos s ON s.cluster_id = c.cluster_id
    WHERE c.cluster_id = @DeploymentId
$$),

('GatewaysQueryKey', $$
    SELECT address AS Address, gateway_port AS ProxyPort, generation AS Generation
    FROM orleans_silos
    WHERE cluster_id = @DeploymentId AND status = @Status AND gateway_port > 0
$$),

-- The silos go with their cluster.
('DeleteMembershipTableEntriesKey', $$
    DELETE FROM orleans_clusters WHERE cluster_id = @DeploymentId
$$),

-- Cleaning. The provider reads all rows and comes here with each that is dead, and whose start, heartbeat and votes are all old; the row
-- goes if it still is as it was read. Never one that is not dead (6): a silo that hangs or is still starting will look for its row.
('CleanupDefunctSiloEntryKey', $$
    DELETE FROM orleans_silos
    WHERE cluster_id = @DeploymentId AND address = @Address AND port = @Port AND generation = @Generation AND status = 6
        AND started = @StartTime AND alive = @IAmAliveTime AND suspect_times IS NOT DISTINCT FROM @SuspectTimes
$$),

-- Required, and used only where the one above is missing.
('CleanupDefunctSiloEntriesKey', $$
    DELETE FROM orleans_silos WHERE cluster_id = @DeploymentId AND status = 6 AND alive < @IAmAliveTime
$$),

-- Reminders. Hashes are signed here and unsigned in Orleans: a range that wraps around comes to the second of the two range queries.

('UpsertReminderRowKey', $$
    INSERT INTO orleans_reminders AS r (service_id, grain_id, name, grain_hash, started, period_ms, version)
    VALUES (@ServiceId, @GrainId, @ReminderName, @GrainHash, @StartTime, @Period, 0)
    ON CONFLICT (service_id, grain_id, name) DO UPDATE SET
        grain_hash = excluded.grain_hash, started = excluded.started, period_ms = excluded.period_ms, version = r.version + 1
    RETURNING version AS Version
$$),

('ReadReminderRowsKey', $$
    SELECT grain_id AS GrainId, name AS ReminderName, started AS StartTime, period_ms AS Period, version AS Version
    FROM orleans_reminders
    WHERE service_id = @ServiceId AND grain_id = @GrainId
$$),

('ReadReminderRowKey', $$
    SELECT grain_id AS GrainId, name AS ReminderName, started AS StartTime, period_ms AS Period, version AS Version
    FROM orleans_reminders
    WHERE service_id = @ServiceId AND grain_id = @GrainId AND name = @ReminderName
$$),

('ReadRangeRows1Key', $$
    SELECT grain_id AS GrainId, name AS ReminderName, started AS StartTime, period_ms AS Period, version AS Version
    FROM orleans_reminders
    WHERE service_id = @ServiceId AND grain_hash > @BeginHash AND grain_hash <= @EndHash
$$),

('ReadRangeRows2Key', $$
    SELECT grain_id AS GrainId, name AS ReminderName, started AS StartTime, period_ms AS Period, version AS Version
    FROM orleans_reminders
    WHERE service_id = @ServiceId AND (grain_hash > @BeginHash OR grain_hash <= @EndHash)
$$),

('DeleteReminderRowKey', $$
    WITH gone AS (
        DELETE FROM orleans_reminders
        WHERE service_id = @ServiceId AND grain_id = @GrainId AND name = @ReminderName AND version = @Version
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$),

('DeleteReminderRowsKey', $$
    DELETE FROM orleans_reminders WHERE service_id = @ServiceId
$$),

-- Grain storage. The version that comes back equals the one that came in when nothing was written: a conflict.

('WriteToStorageKey', $$
    WITH first AS (
        INSERT INTO orleans_grain_state (service_id, id_hash, type_hash, id_n0, id_n1, type_name, id_text, version, payload)
        SELECT @ServiceId, @GrainIdHash, @GrainTypeHash, @GrainIdN0, @GrainIdN1, @GrainTypeString,
            coalesce(@GrainIdExtensionString, ''), 1, @PayloadBinary
        WHERE @GrainStateVersion IS NULL
        ON CONFLICT DO NOTHING
        RETURNING version
    ), next AS (
        UPDATE orleans_grain_state SET version = version + 1, payload = @PayloadBinary
        WHERE service_id = @ServiceId AND id_hash = @GrainIdHash AND type_hash = @GrainTypeHash
            AND id_n0 = @GrainIdN0 AND id_n1 = @GrainIdN1 AND type_name = @GrainTypeString
            AND id_text = coalesce(@GrainIdExtensionString, '') AND version = @GrainStateVersion
        RETURNING version
    )
    SELECT coalesce((SELECT version FROM first), (SELECT version FROM next), @GrainStateVersion) AS NewGrainStateVersion
$$),

('ReadFromStorageKey', $$
    SELECT payload AS PayloadBinary, version AS Version
    FROM orleans_grain_state
    WHERE service_id = @ServiceId AND id_hash = @GrainIdHash AND type_hash = @GrainTypeHash
        AND id_n0 = @GrainIdN0 AND id_n1 = @GrainIdN1 AND type_name = @GrainTypeString
        AND id_text = coalesce(@GrainIdExtensionString, '')
$$),

('ClearStorageKey', $$
    WITH cleared AS (
        UPDATE orleans_grain_state SET version = version + 1, payload = NULL
        WHERE service_id = @ServiceId AND id_hash = @GrainIdHash AND type_hash = @GrainTypeHash
            AND id_n0 = @GrainIdN0 AND id_n1 = @GrainIdN1 AND type_name = @GrainTypeString
            AND id_text = coalesce(@GrainIdExtensionString, '') AND version = @GrainStateVersion
        RETURNING version
    )
    SELECT coalesce((SELECT version FROM cleared), @GrainStateVersion) AS NewGrainStateVersion
$$),

-- Used instead of the one above where DeleteStateOnClear is set. It answers the version that the clearing would have made.
('DeleteStorageKey', $$
    WITH gone AS (
        DELETE FROM orleans_grain_state
        WHERE service_id = @ServiceId AND id_hash = @GrainIdHash AND type_hash = @GrainTypeHash
            AND id_n0 = @GrainIdN0 AND id_n1 = @GrainIdN1 AND type_name = @GrainTypeString
            AND id_text = coalesce(@GrainIdExtensionString, '') AND version = @GrainStateVersion
        RETURNING version
    )
    SELECT coalesce((SELECT version + 1 FROM gone), @GrainStateVersion) AS NewGrainStateVersion
$$)

ON CONFLICT (QueryKey) DO UPDATE SET QueryText = excluded.QueryText;
