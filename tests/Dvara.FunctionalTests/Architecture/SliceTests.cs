using Mono.Cecil;
using Xunit;

namespace Dvara.FunctionalTests.Architecture;

/// <summary>Reads the compiled server and holds who may use whom; folders alone do not.</summary>
public sealed class SliceTests
{
    private const string Root = "Dvara.Server";

    /// <summary>Beside these, everyone may use Hosting, Domain and (except Gateway) Storage. Hosting puts all slices together.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new(StringComparer.Ordinal)
    {
        ["Storage"] = [],
        ["Audit"] = [],
        ["AdminTokens"] = ["Audit", "Tenants"],
        ["Tenants"] = ["Audit"],
        ["ApiKeys"] = ["Tenants", "Audit"],
        ["Routing"] = ["Tenants", "Audit"],
        ["Pricing"] = ["Tenants", "Audit"],
        ["Metering"] = ["Pricing", "Tenants"],
        ["Budgets"] = ["Tenants", "Audit", "Metering", "ApiKeys"],
        ["Costs"] = ["Metering", "Pricing", "Tenants", "ApiKeys", "Audit"],
        ["Chargeback"] = ["Metering", "Pricing", "Tenants", "ApiKeys", "Audit"],
        ["Gateway"] = ["ApiKeys", "Routing", "Pricing", "Metering", "Costs", "Budgets", "Tenants", "Audit"],
    };

    private static readonly AssemblyDefinition Server = AssemblyDefinition.ReadAssembly(Path.Combine(AppContext.BaseDirectory, Root + ".dll"));

    [Fact]
    public void Slices_UseOnlyWhatTheyMay()
    {
        var refused = Uses()
            .Where(use => use.From != "Hosting" && use.To != "Hosting" && use.From != use.To)
            .Where(use => !Allowed.TryGetValue(use.From, out var allowed) || (use.To != "Storage" && !allowed.Contains(use.To)))
            .Select(use => $"{use.Type} uses {use.To}")
            .Distinct(StringComparer.Ordinal);

        Assert.Empty(refused);
    }

    [Fact]
    public void Gateway_NeverTouchesADatabase()
    {
        var refused = AllTypes()
            .Where(type => SliceOf(type) == "Gateway")
            .SelectMany(type => ReferencesOf(type).Select(reference => (Type: type.FullName, reference.FullName)))
            .Where(use => use.FullName.StartsWith("Dvara.Server.Storage", StringComparison.Ordinal)
                || use.FullName.StartsWith("System.Data", StringComparison.Ordinal)
                || use.FullName.StartsWith("Microsoft.Data", StringComparison.Ordinal)
                || use.FullName.StartsWith("Dapper", StringComparison.Ordinal));

        Assert.Empty(refused);
    }

    [Fact]
    public void Domain_KnowsNoFrameworkAndNoFloatingPoint()
    {
        using var domain = AssemblyDefinition.ReadAssembly(Path.Combine(AppContext.BaseDirectory, "Dvara.Domain.dll"));
        var fields = domain.MainModule.GetTypes().SelectMany(t => t.Fields.Select(f => (t.FullName, f.FieldType)));

        Assert.DoesNotContain(domain.MainModule.AssemblyReferences, reference => !reference.Name.StartsWith("System.", StringComparison.Ordinal) && reference.Name != "NodaTime");
        Assert.DoesNotContain(fields, field => field.FieldType.FullName is "System.Double" or "System.Single");
    }

    private static IEnumerable<(string Type, string From, string To)> Uses() =>
        from type in AllTypes()
        let user = SliceOf(type)
        where user is not null
        from reference in ReferencesOf(type)
        let used = SliceOf(reference)
        where used is not null
        select (type.FullName, user, used);

    private static IEnumerable<TypeDefinition> AllTypes() => Server.MainModule.GetTypes();

    /// <summary>The first part behind the root namespace; generated code belongs to nobody.</summary>
    private static string? SliceOf(TypeReference type)
    {
        while (type.DeclaringType is { } outer)
        {
            type = outer;
        }

        return type.Namespace.StartsWith(Root + ".", StringComparison.Ordinal) ? type.Namespace[(Root.Length + 1)..].Split('.')[0] : null;
    }

    private static IEnumerable<TypeReference> ReferencesOf(TypeDefinition type)
    {
        IEnumerable<TypeReference?> direct =
        [
            type.BaseType,
            .. type.Interfaces.Select(i => i.InterfaceType),
            .. type.Fields.Select(f => f.FieldType),
            .. type.Methods.Select(m => m.ReturnType),
            .. type.Methods.SelectMany(m => m.Parameters).Select(p => p.ParameterType),
            .. type.Methods.Where(m => m.HasBody).SelectMany(m => m.Body.Variables).Select(v => v.VariableType),
            .. type.Methods.Where(m => m.HasBody).SelectMany(m => m.Body.Instructions).SelectMany(i => OperandTypes(i.Operand)),
        ];
        return direct.OfType<TypeReference>().SelectMany(Parts);
    }

    private static IEnumerable<TypeReference?> OperandTypes(object? operand) => operand switch
    {
        TypeReference type => [type],
        GenericInstanceMethod method => [method.DeclaringType, .. method.GenericArguments],
        MemberReference member => [member.DeclaringType],
        _ => [],
    };

    private static IEnumerable<TypeReference> Parts(TypeReference type) => type switch
    {
        GenericInstanceType generic => [generic.ElementType, .. generic.GenericArguments.SelectMany(Parts)],
        TypeSpecification specification => Parts(specification.ElementType),
        _ => [type],
    };
}
