using System.Text.Json.Nodes;

namespace Dvara.Server.Hosting.AdminApi;

/// <summary>JSON Merge Patch (RFC 7396): what a patch does not name stays, null removes, objects are merged, all else is replaced.</summary>
internal static class MergePatch
{
    /// <summary>Applies a patch to <paramref name="target"/> and returns it.</summary>
    public static JsonObject Apply(JsonObject target, JsonObject patch)
    {
        foreach (var (name, value) in patch)
        {
            switch (value)
            {
                case null:
                    target.Remove(name);
                    break;
                case JsonObject inner:
                    // Onto an empty object where there was none, so that nulls within are removed there too.
                    target[name] = Apply(target[name] is JsonObject known ? known.DeepClone().AsObject() : [], inner);
                    break;
                default:
                    target[name] = value.DeepClone();
                    break;
            }
        }

        return target;
    }
}
