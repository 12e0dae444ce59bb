namespace Dvara.Domain;

/// <summary>One customer or cost centre; the unit that is billed.</summary>
public readonly record struct TenantId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>One secret of one tenant. A rotation makes another; none is ever used again, so that the ledger keeps its meaning.</summary>
public readonly record struct ApiKeyId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>A key with those it was rotated from and those it is rotated to, named by the first of them. It never changes.</summary>
public readonly record struct KeyLineId(Guid Value)
{
    /// <summary>The line that <paramref name="first"/> begins.</summary>
    public static KeyLineId Of(ApiKeyId first) => new(first.Value);

    public override string ToString() => Value.ToString("D");
}

/// <summary>One request of a client; several attempts may share it. Shown as <c>x-request-id</c>.</summary>
public readonly record struct RequestId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>One call to one provider: a UUIDv7 whose milliseconds are the intent time.</summary>
public readonly record struct AttemptId(Guid Value)
{
    /// <summary>The instant that alone decides period, price and statement, read back from the id.</summary>
    public DateTimeOffset IntentTime
    {
        get
        {
            Span<byte> bytes = stackalloc byte[16];
            Value.TryWriteBytes(bytes, bigEndian: true, out _);
            long milliseconds = 0;
            for (var i = 0; i < 6; i++)
            {
                milliseconds = (milliseconds << 8) | bytes[i];
            }

            return DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);
        }
    }

    public static AttemptId At(DateTimeOffset intentTime) => new(Uuid7.At(intentTime));

    public override string ToString() => Value.ToString("D");
}

/// <summary>One version of a price; a charge names the version that rated it.</summary>
public readonly record struct PriceId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>One chargeback report.</summary>
public readonly record struct StatementId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>One journal file; lives as long as its file does, whatever silo opens it.</summary>
public readonly record struct JournalId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>One admin token; the actor of what was done with it, also after it is gone.</summary>
public readonly record struct AdminTokenId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>One cap: a limit per period on a scope. The API calls it a budget.</summary>
public readonly record struct CapId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}
